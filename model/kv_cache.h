#pragma once
// Keys and values of the tokens that a model has seen, so that the next tokens need not see all of them again (spec: evaluation
// §5.1). All rows are equally long. A looped model has entries of its own for each of its passes.

#include "engine/memory/persistent_slab.h"
#include "engine/tensor/tensor.h"
#include "model/config.h"
#include "model/pass.h"

namespace kappa {

class KvCache {
 public:
  /// An empty one for `rows` rows of at most `positions` tokens, for a model that computes in `compute`.
  KvCache(const ModelConfig& config, int64_t rows, int64_t positions, DType compute);

  /// Tokens that are there, in each row.
  int64_t length() const { return length_; }

  /// Room for all tokens of one block, of which the first length() are there.
  struct Entries {
    Tensor k, v;  // [B, Hkv, positions, D]: head by head, as they are read
  };
  /// Puts k, v [B, T, Hkv, D] of the block at `place` behind what is there. They count once advance() says so.
  const Entries& put(Place place, const Tensor& k, const Tensor& v);
  /// After all blocks: T more tokens are there.
  void advance(int64_t tokens) { length_ += tokens; }

  /// Gives every row the tokens of `prompt`, a cache of one row.
  void fill_rows(const KvCache& prompt);

 private:
  int64_t rows_, positions_, length_ = 0, layers_;
  std::vector<Entries> blocks_;  // by loop pass · n_layer + layer
};

}  // namespace kappa
