#pragma once
// What main.cpp offers on the command line, of this folder.

namespace CLI {
class App;
}

namespace kappa {

void add_train_command(CLI::App& app);
void add_audit_command(CLI::App& app);
void add_bench_command(CLI::App& app);

}  // namespace kappa
