#include "model/kv_cache.h"

#include <cstring>

#include "engine/tensor/dispatch.h"

namespace kappa {

KvCache::KvCache(const ModelConfig& config, int64_t rows, int64_t positions, DType compute)
    : rows_(rows), positions_(positions), layers_(config.n_layer) {
  require(rows >= 1 && positions >= 1, "a cache needs at least one row and one position, found {} and {}", rows, positions);
  const Shape shape{rows, positions, config.n_kv(), config.head_size()};
  const int64_t blocks = config.total_ut_steps * layers_;
  const double all = 2.0 * double(rows) * double(positions) * double(blocks * shape[2] * shape[3] * size_of(compute));
  require(all <= 0x1p46, "a cache of {} rows and {} positions would take {:.0f} GiB, more than can be", rows, positions,
          all / 0x1p30);
  const int64_t bytes = shape.size() * size_of(compute);
  PersistentSlab slab(2 * blocks * PersistentSlab::footprint(bytes));
  const auto room = [&] { return Tensor::over(slab.take(bytes), shape, compute); };
  for (int64_t i = 0; i < blocks; ++i) blocks_.push_back({.k = room(), .v = room()});
}

/// Row by row, `tokens` tokens of `from`, whatever its room, to position `at` of the rows of `to`. A single row goes to all.
static void copy_tokens(const Tensor& from, const Tensor& to, int64_t at, int64_t tokens) {
  const int64_t token = to.bytes() / (to.dim(0) * to.dim(1)), from_row = from.dim(0) == 1 ? 0 : from.dim(1) * token;
  for (int64_t row = 0; row < to.dim(0); ++row)
    std::memcpy(to.raw() + (row * to.dim(1) + at) * token, from.raw() + row * from_row, size_t(tokens * token));
}

const KvCache::Entries& KvCache::put(Place place, const Tensor& k, const Tensor& v) {
  const Entries& block = blocks_[size_t(place.loop * layers_ + place.layer)];
  const int64_t tokens = k.dim(1);
  expect("kv_cache", "k", k, {rows_, tokens, block.k.dim(2), block.k.dim(3)}, block.k.dtype(), block.k.device());
  expect("kv_cache", "v", v, k.shape(), k.dtype(), k.device());
  require(length_ + tokens <= positions_, "kv_cache: {} tokens and {} more do not fit into {} positions", length_, tokens,
          positions_);
  copy_tokens(k, block.k, length_, tokens);
  copy_tokens(v, block.v, length_, tokens);
  return block;
}

void KvCache::fill_rows(const KvCache& prompt) {
  require(prompt.rows_ == 1 && prompt.length_ <= positions_ && prompt.blocks_.size() == blocks_.size(),
          "kv_cache: expected a cache of one row and at most {} tokens, found {} and {}", positions_, prompt.rows_,
          prompt.length_);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    copy_tokens(prompt.blocks_[i].k, blocks_[i].k, 0, prompt.length_);
    copy_tokens(prompt.blocks_[i].v, blocks_[i].v, 0, prompt.length_);
  }
  length_ = prompt.length_;
}

}  // namespace kappa
