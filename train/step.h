#pragma once
// One optimizer step in its two halves: forward and backward over the micro-batches, then the update (spec: training §13, items
// 9–15).

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

  /// The gradients of step t, added up in the model's parameters; `next` gives the micro-batches one after the other. Of the last
  /// one only the first rows count. `trace` sees all of them. Throws RunError that names a term if a loss is not finite.
  StepLosses accumulate(int64_t t, const std::function<Batch()>& next, const Trace& trace = {});
  /// What they do to the parameters and to the balance of the experts.
  void update(int64_t t);

 private:
  void count_choices(Place place, const Tensor& counts);
  void balance_experts();

  const RunConfig& config_;
  BatchPlan batches_;
  Gpt& model_;
  Optimizer& optimizer_;
  // [L][E] how often each expert was chosen in this step; only with aux-free balancing.
  std::vector<std::vector<int32_t>> choices_;
};

}  // namespace kappa
