#pragma once
// What main.cpp offers on the command line about the program itself and the machine it is on.

namespace CLI {
class App;
}

namespace kappa {

void add_doctor_command(CLI::App& app);
/// Last of all commands: it writes down the others.
void add_completion_command(CLI::App& app);

}  // namespace kappa
