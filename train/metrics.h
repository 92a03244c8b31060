#pragma once
// The lines of metrics.jsonl (spec: training §15.5, whose names they have; those that it gives no formula for are not there).

#include <nlohmann/json.hpp>

#include "train/recipe.h"
#include "train/routing_statistics.h"
#include "train/step.h"

namespace kappa {

/// Time since the line before, and since the run began.
struct MetricsClock {
  double interval_seconds;
  double waiting_seconds;  // of these, for data
  int64_t interval_steps;
  double total_seconds;
};

/// The running mean of the losses so far, and the same without the bias of its beginning at 0 (s ← 0.9·s + 0.1·loss, shown as
/// s/(1 − 0.9ⁿ) after n losses).
double follow_loss(double running, double loss);
double debiased_loss(double running, int64_t losses);

/// The line of step t, whose update has been made. `smooth_loss` is the debiased mean of the next token's loss.
nlohmann::ordered_json step_metrics(const RunConfig& config, const RunSizes& sizes, int64_t t, const StepLosses& losses,
                                    double smooth_loss, const MetricsClock& clock);

/// inspect/router_row_norm_L and inspect/kappa_{bias,scale}_{mean,abs_mean}_L of every layer that has one: the mean length of the
/// router's rows, the mean of κ's parameters and of their absolute values.
void report_parameters(const ParameterStore& store, int64_t layers, nlohmann::ordered_json& line);

}  // namespace kappa
