#pragma once
// How large a run is: parameters, tokens, batch and steps, where the configuration leaves them to the recipe (spec: training §2,
// §5).

#include "train/config.h"

namespace kappa {

/// How many numbers a model learns.
struct ParameterCounts {
  int64_t total = 0;
  int64_t embedding = 0, value_embeddings = 0, lm_head = 0;  // wte, value_embeds.*, lm_head
  int64_t blocks = 0;                                        // everything in the layers, κ and routers too
  int64_t scalars = 0;                                       // the lambdas, and a κ that all layers share
  double active = 0;                                         // the experts' counted by K/E: what one token meets
  double adjusted = 0;                                       // blocks and lm_head, the experts' counted by √(K/E)
};
/// Counted from the declarations; no memory is taken for the parameters.
ParameterCounts count_parameters(const ModelConfig& config);

/// Forward and backward of one token: 6 a parameter that is multiplied with, and the attention's scores and sums.
struct FlopsPerToken {
  double active = 0;     // of the K experts that a token meets
  double reference = 0;  // of all E, as the paper's code reports it
};
FlopsPerToken flops_per_token(const ModelConfig& config, const ParameterCounts& counts);

/// A run's tokens and how they are cut into steps and micro-batches.
struct BatchPlan {
  int64_t steps;          // N
  int64_t batch_tokens;   // B
  int64_t micro_batches;  // of which all but the last have train.device_batch_size rows
  int64_t last_rows;      // rows of the last one that count
  /// Micro-batch i's share of the step's loss: 1 or last_rows/rows, over their sum.
  double share(int64_t i, int64_t rows) const;
};

/// What the plan was made from.
struct RunSizes {
  ParameterCounts parameters;
  FlopsPerToken flops;
  bool adjusted_counting = false;  // whether the scaling parameters are `adjusted`
  double scaling_parameters = 0;   // S
  double token_budget = 0;         // D = ⌊train.target_param_data_ratio·S⌋; 0 if the run's length has another source
  double log2_batch = 0;           // log₂ of the automatic batch, before it is rounded; 0 if the batch is given
  BatchPlan batches{};
};

/// All sizes of a run on `ranks` ranks. Throws InputError for sizes that do not divide, budgets below one step, and keys
/// that name a step beyond the last.
RunSizes plan_sizes(const RunConfig& config, int64_t ranks = 1);

inline BatchPlan plan_batches(const RunConfig& config) { return plan_sizes(config).batches; }

}  // namespace kappa
