#pragma once
// Causal self-attention with rotary positions, normalised queries and keys, and value embeddings (spec: model §3).

#include "engine/nn/linear.h"
#include "engine/ops/rotary/rotary.h"
#include "model/kv_cache.h"

namespace kappa {

class Attention {
 public:
  Attention(const Scope& scope, const ModelConfig& config, int64_t layer);

  /// x [B, T, C] normalised; value_embedding [B, T, Hkv·D], or none. Gives [B, T, C]. With a cache, x continues what is there.
  Tensor operator()(const Tensor& x, const Tensor& value_embedding, const RotaryTables& rotary_tables, Place place,
                    KvCache* cache) const;

 private:
  const ModelConfig& config_;
  int64_t layer_;
  Linear query_, key_, value_, projection_;
  const Parameter& value_gate_;  // in every layer, used where there are value embeddings
};

}  // namespace kappa
