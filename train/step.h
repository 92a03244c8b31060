#pragma once
// One optimizer step: forward and backward over its micro-batches, then the update (spec: training §13, items 9–15).

#include <functional>
#include <map>
#include <string>

#include "data/token_loader.h"
#include "train/optimizers/optimizer.h"
#include "train/recipe.h"

namespace kappa {

/// Losses before the update, averaged over the micro-batches as they count, by the names of named_terms(); and "loss", their
/// weighted sum.
using StepLosses = std::map<std::string, double>;

class TrainingStep {
 public:
  TrainingStep(const RunConfig& config, const BatchPlan& batches, Gpt& model, Optimizer& optimizer);

  /// Step t; `next` gives its micro-batches one after the other. Of the last one only the first rows count. Throws RunError that
  /// names a term if a loss is not finite.
  StepLosses operator()(int64_t t, const std::function<Batch()>& next) {
    const StepPlan plan = plan_step(config_, batches_, t);
    const StepLosses losses = accumulate(plan, t, next);
    update(plan);
    return losses;
  }
  /// Its two halves: the gradients of all micro-batches, and what they do to the parameters.
  StepLosses accumulate(const StepPlan& plan, int64_t t, const std::function<Batch()>& next);
  void update(const StepPlan& plan);

 private:
  void count_choices(Place place, const Tensor& counts);
  void balance_experts();

  const RunConfig& config_;
  BatchPlan batches_;
  Gpt& model_;
  Optimizer& optimizer_;
  std::vector<std::vector<int32_t>>
      choices_;  // [L][E] how often each expert was chosen in this step; only with aux-free balancing
};

}  // namespace kappa
