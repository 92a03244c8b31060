#pragma once
// What a run will be, without running it.

#include <nlohmann/json.hpp>

#include "train/sizes.h"

namespace kappa {

/// Estimates of bytes, by what takes them.
struct MemoryPlan {
  double parameters = 0, gradients = 0, optimizer = 0;  // exact
  double activations = 0;  // what the ops keep of a micro-batch for the way back, and a layer's gradients
  double total() const { return parameters + gradients + optimizer + activations; }
};
MemoryPlan plan_memory(const RunConfig& config);

/// All sizes, counts and rates of the run as one object, the keys in the order of their reading.
nlohmann::ordered_json dry_run(const RunConfig& config);
/// The same for people.
std::string describe_dry_run(const nlohmann::ordered_json& run);

}  // namespace kappa
