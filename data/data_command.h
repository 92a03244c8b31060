#pragma once

namespace CLI {
class App;
}

namespace kappa {

/// kappa data cat, inspect, pack.
void add_data_command(CLI::App& app);

}  // namespace kappa
