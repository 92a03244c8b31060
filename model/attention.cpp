#include "model/attention.h"

#include "engine/ops/attention/attention.h"
#include "engine/ops/rms_norm/rms_norm.h"
#include "engine/ops/value_gate/value_gate.h"
#include "model/init.h"

namespace kappa {

Attention::Attention(const Scope& scope, const ModelConfig& config, int64_t layer)
    : config_(config),
      layer_(layer),
      query_(scope / "c_q", {config.n_embd, config.n_embd}, matrix_init(config), config.is_moe(layer)),
      key_(scope / "c_k", {config.n_kv() * config.head_size(), config.n_embd}, matrix_init(config), config.is_moe(layer)),
      value_(scope / "c_v", {config.n_kv() * config.head_size(), config.n_embd}, matrix_init(config), config.is_moe(layer)),
      projection_(scope / "c_proj", {config.n_embd, config.n_embd}, Init{}, config.is_moe(layer)),
      value_gate_(scope.store().declare({.name = (scope / "ve_gate").name("weight"),
                                         .shape = {config.n_kv(), value_gate_channels},
                                         .in_moe_block = config.is_moe(layer),
                                         .gets_gradient = config.has_value_embedding(layer)})) {}

Tensor Attention::operator()(const Tensor& x, const Tensor& value_embedding, const RotaryTables& tables, Place place,
                             KvCache* cache) const {
  const int64_t batch = x.dim(0), length = x.dim(1), size = config_.head_size(), earlier = cache ? cache->length() : 0;
  const auto heads = [&](const Tensor& t, int64_t count) { return t.reshape({batch, length, count, size}); };
  Tensor v = heads(value_(x), config_.n_kv());
  if (value_embedding) v = value_gate({.v = v, .embedding = value_embedding, .x = x, .weight = value_gate_.value});
  const Tensor q = rms_norm(rotary(heads(query_(x), config_.n_head), tables, earlier));
  const Tensor k = rms_norm(rotary(heads(key_(x), config_.n_kv()), tables, earlier));
  AttentionInputs in{.q = q, .k = k, .v = v, .window = config_.window(layer_)};
  if (cache) {
    const KvCache::Entries& all = cache->put(place, k, v);
    in.k = all.k, in.v = all.v;
  }
  const Tensor y = cache ? cached_attention(in, earlier + length) : attention(in);
  return projection_(y.reshape({batch, length, config_.n_embd}));
}

}  // namespace kappa
