#pragma once
// Continuing a text token by token (spec: evaluation §5). The prompt is one forward pass of one row; then every pass takes the
// last token of each sample. Samples are rows of one batch: as in the paper's code they share the slots of the experts
// (capacity is that of the pass), and one that has ended is stepped on with the others.

#include <span>
#include <vector>

#include "model/gpt.h"
#include "model/sampler.h"

namespace kappa {

struct Generation {
  Sampling sampling;
  uint64_t seed = 42;
  int64_t vocabulary = 0;                 // ids below it may be picked; 0: all of the model's
  int64_t samples = 1, max_tokens = 100;  // of each sample
  std::vector<int32_t> stop;              // ids that end a sample and are not part of it
};

class Generator {
 public:
  /// Reads the prompt. Throws InputError for an empty one, for ids that the model does not have, and where prompt and max_tokens
  /// are more than the model's longest row.
  Generator(Gpt& model, std::span<const int32_t> prompt, Generation options);

  /// Adds a token to every sample that has not ended. False if there was none to add to, or max_tokens are there.
  bool next();
  /// What next() added, by sample; `ended` for those that had nothing added.
  std::span<const int32_t> added() const { return added_; }
  static constexpr int32_t ended = -1;

 private:
  void draw();

  Gpt& model_;
  Generation options_;
  KvCache cache_;
  Tensor logits_;                        // [1 or samples, V] wide, of what comes next
  std::vector<int32_t> column_, added_;  // [samples] the newest ids: as drawn, and as seen from outside
  int64_t count_ = 0;                    // tokens drawn for each sample
};

}  // namespace kappa
