#pragma once
// The training recipe as a function of the step: what all schedules say (spec: training §11, §13).

#include "train/config.h"
#include "train/objective.h"
#include "train/optimizers/parameter_groups.h"
#include "train/sizes.h"

namespace kappa {

/// What the schedules say before the update of step t.
struct StepPlan {
  double moe_slope_max, dense_slope_max;
  LossWeights weights;
  StepSettings optimizer;
};
StepPlan plan_step(const RunConfig& config, const BatchPlan& batches, int64_t t);

OptimizerSettings optimizer_settings(const RunConfig& config, const BatchPlan& batches);

}  // namespace kappa
