#pragma once
// What a run will be, without running it.

#include <nlohmann/json.hpp>

#include "train/sizes.h"

namespace kappa {

/// Seconds of the whole run's matrix products at a rate of `product_rate` FLOP/s: a lower bound of what it will take, since all
/// else that a step does comes on top.
struct TimePlan {
  double forward_backward = 0;  // of the parameters that a token meets
  double optimizer = 0;         // of Aurora's or Muon's iterations
  double total() const { return forward_backward + optimizer; }
};
TimePlan plan_time(const RunConfig& config, double product_rate);

/// All sizes, counts and rates of the run as one object, the keys in the order of their reading. `product_rate`: FLOP/s that the
/// machine reaches in products (machine_speed.h).
nlohmann::ordered_json dry_run(const RunConfig& config, double product_rate);
/// The same for people.
std::string describe_dry_run(const nlohmann::ordered_json& run);

}  // namespace kappa
