#pragma once
// What main.cpp offers on the command line.

#include <string>

namespace CLI {
class App;
}

namespace kappa {

void add_train_command(CLI::App& app);
void add_audit_command(CLI::App& app);
void add_bench_command(CLI::App& app);

/// Version, commit, compiler and what the products run on.
std::string version();

}  // namespace kappa
