#pragma once
// What main.cpp offers on the command line, of this folder.

namespace CLI {
class App;
}

namespace kappa {

void add_generate_command(CLI::App& app);

}  // namespace kappa
