#pragma once
// The audit of a whole recipe: training on given micro-batches, with what can be compared of every step written down.

#include <filesystem>

#include "engine/core/element.h"
#include "train/config.h"

namespace kappa {

struct TrajectoryFiles {
  std::filesystem::path weights, batches;
  std::filesystem::path out;  // a folder, made if it is not there
};

/// Takes train.num_iterations steps from the weights over `inputs` and `targets` [steps·micro-batches, device_batch_size, T], in
/// order. Writes out/steps.jsonl, an object a step with the losses and schedules before its update, and
/// out/parameters.safetensors: `step1.NAME` after the first update, `final.NAME` after the last. Throws InputError for input that
/// does not fit, RunError if a value is not finite.
void audit_trajectory(const RunConfig& config, DType compute, const TrajectoryFiles& files);

}  // namespace kappa
