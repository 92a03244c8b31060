#pragma once
// Continuing a text (spec: evaluation §5.2).

#include <functional>
#include <vector>

#include "model/gpt.h"

namespace kappa {

struct SamplingOptions {
  double temperature = 1;  // 0: always the likeliest, of equals the first
  int64_t top_k = 0;       // 0: all
  uint64_t seed = 0;
  int64_t tokens = 100;  // how many to add
};

/// Adds tokens to `prompt` one by one, each from a whole forward pass over the last sequence_len tokens; stops after one for
/// which `add` gives false.
void generate(Gpt& model, std::vector<int32_t> prompt, const SamplingOptions& options,
              const std::function<bool(int32_t id)>& add);

/// The id that a uniform random number in [0, 1) picks from softmax(logits / temperature) over the top_k highest.
int32_t pick(std::vector<double> logits, const SamplingOptions& options, double uniform);

}  // namespace kappa
