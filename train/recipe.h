#pragma once
// The training recipe as a function of the step: what all schedules say (spec: training §11, §13).

#include "train/config.h"
#include "train/objective.h"
#include "train/optimizers/parameter_groups.h"

namespace kappa {

/// A step's tokens and how they are cut into micro-batches (spec: training §5.2).
struct BatchPlan {
  int64_t steps;          // N
  int64_t batch_tokens;   // B
  int64_t micro_batches;  // of which all but the last have train.device_batch_size rows
  int64_t last_rows;      // rows of the last one that count
  /// Micro-batch i's share of the step's loss: 1 or last_rows/rows, over their sum.
  double share(int64_t i, int64_t rows) const;
};

/// Throws InputError for sizes that do not divide.
BatchPlan plan_batches(const RunConfig& config);

/// What the schedules say before the update of step t.
struct StepPlan {
  double moe_slope_max, dense_slope_max;
  LossWeights weights;
  StepSettings optimizer;
};
StepPlan plan_step(const RunConfig& config, const BatchPlan& batches, int64_t t);

OptimizerSettings optimizer_settings(const RunConfig& config, const BatchPlan& batches);

}  // namespace kappa
