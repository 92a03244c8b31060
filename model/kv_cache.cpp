#include "model/kv_cache.h"

#include <cstring>

#include "engine/tensor/dispatch.h"

namespace kappa {

KvCache::KvCache(const ModelConfig& config, int64_t rows, int64_t positions, DType compute)
    : rows_(rows), positions_(positions), layers_(config.n_layer) {
  require(rows >= 1 && positions >= 1, "a cache needs at least one row and one position, found {} and {}", rows, positions);
  const Shape shape{rows, config.n_kv(), positions, config.head_size()};
  const int64_t blocks = config.total_ut_steps * layers_;
  const double all = 2.0 * double(rows) * double(positions) * double(blocks * shape[1] * shape[3] * size_of(compute));
  require(all <= 0x1p46, "a cache of {} rows and {} positions would take {:.0f} GiB, more than can be", rows, positions,
          all / 0x1p30);
  const int64_t bytes = shape.size() * size_of(compute);
  PersistentSlab slab(2 * blocks * PersistentSlab::footprint(bytes));
  const auto room = [&] { return Tensor::over(slab.take(bytes), shape, compute); };
  for (int64_t i = 0; i < blocks; ++i) blocks_.push_back({.k = room(), .v = room()});
}

/// from [B, T, Hkv, D] to position `at` of `to` [B, Hkv, positions, D].
static void put_tokens(const Tensor& from, const Tensor& to, int64_t at) {
  const int64_t tokens = from.dim(1), heads = from.dim(2), positions = to.dim(2), bytes = from.dim(3) * size_of(from.dtype());
  for (int64_t row = 0; row < from.dim(0); ++row)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t t = 0; t < tokens; ++t)
        std::memcpy(to.raw() + ((row * heads + head) * positions + at + t) * bytes,
                    from.raw() + ((row * tokens + t) * heads + head) * bytes, size_t(bytes));
}

/// The first `tokens` of `from` [1, Hkv, its positions, D] to every row of `to` [B, Hkv, positions, D].
static void repeat_tokens(const Tensor& from, const Tensor& to, int64_t tokens) {
  const int64_t heads = to.dim(1), bytes = to.dim(3) * size_of(to.dtype());
  for (int64_t i = 0; i < to.dim(0) * heads; ++i)
    std::memcpy(to.raw() + i * to.dim(2) * bytes, from.raw() + i % heads * from.dim(2) * bytes, size_t(tokens * bytes));
}

const KvCache::Entries& KvCache::put(Place place, const Tensor& k, const Tensor& v) {
  const Entries& block = blocks_[size_t(place.loop * layers_ + place.layer)];
  const int64_t tokens = k.dim(1);
  expect("kv_cache", "k", k, {rows_, tokens, block.k.dim(1), block.k.dim(3)}, block.k.dtype(), block.k.device());
  expect("kv_cache", "v", v, k.shape(), k.dtype(), k.device());
  require(length_ + tokens <= positions_, "kv_cache: {} tokens and {} more do not fit into {} positions", length_, tokens,
          positions_);
  put_tokens(k, block.k, length_);
  put_tokens(v, block.v, length_);
  return block;
}

void KvCache::fill_rows(const KvCache& prompt) {
  require(prompt.rows_ == 1 && prompt.length_ <= positions_ && prompt.blocks_.size() == blocks_.size(),
          "kv_cache: expected a cache of one row and at most {} tokens, found {} and {}", positions_, prompt.rows_,
          prompt.length_);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    repeat_tokens(prompt.blocks_[i].k, blocks_[i].k, prompt.length_);
    repeat_tokens(prompt.blocks_[i].v, blocks_[i].v, prompt.length_);
  }
  length_ = prompt.length_;
}

}  // namespace kappa
