#pragma once
// Blocks of queries and keys: what the forward and the backward pass on the CPU share.
//
// A block of queries meets one block of keys after the other; their scores are a tile that stays in the cache. Products are BLAS
// calls on the heads as they lie in memory (rows H·D apart); bfloat16 rows are widened first, block by block.

#include <algorithm>

#include "engine/device/thread_pool.h"
#include "engine/ops/attention/kernels.h"

namespace kappa::attention_blocks {

constexpr int64_t query_block = 64, key_block = 256;
constexpr int64_t tile_size = query_block * key_block;  // a tile's rows are key_block apart

inline int64_t size(Range r) { return r.end - r.begin; }

/// Calls body(Range) for the blocks of keys that some of `queries` see, in order.
template <class Body>
void for_key_blocks(const AttentionExtents& n, Range queries, Body&& body) {
  const int64_t end = n.end_key(queries.end - 1);
  for (int64_t key = n.first_key(queries.begin); key < end; key += key_block) body(Range{key, std::min(key + key_block, end)});
}

/// The part of a block of keys that one query sees, counted from the block's first key; perhaps empty.
inline Range visible(const AttentionExtents& n, Range keys, int64_t query) {
  const int64_t begin = std::clamp(n.first_key(query), keys.begin, keys.end);
  const int64_t end = std::clamp(n.end_key(query), keys.begin, keys.end);
  return {begin - keys.begin, end - keys.begin};
}

/// Where one head of a tensor [B, tokens, heads, D] lies.
struct Head {
  int64_t first, stride, width;  // the index of its first element; heads·D; D
  int64_t at(int64_t token) const { return first + token * stride; }
};
inline Head query_head(const AttentionExtents& n, int64_t batch, int64_t head) {
  return {(batch * n.queries * n.heads + head) * n.head_size, n.heads * n.head_size, n.head_size};
}
inline Head key_head(const AttentionExtents& n, int64_t batch, int64_t kv_head) {
  return {(batch * n.room * n.kv_heads + kv_head) * n.head_size, n.kv_heads * n.head_size, n.head_size};
}

/// Consecutive tokens of one head, in the wide type.
template <class W>
struct Rows {
  const W* data;
  int64_t count, stride, width;
};

/// to [rows, width] = x, whose rows are `stride` apart.
void widen_rows(const bfloat16* x, int64_t stride, int64_t rows, int64_t width, float* to);

/// `tokens` of a head of x: as they are, or widened into `copy` [tokens, D].
template <class T>
Rows<Wide<T>> rows_of(const T* x, Head head, Range tokens, Wide<T>* copy) {
  const T* const first = x + head.at(tokens.begin);
  if constexpr (std::is_same_v<T, Wide<T>>) {
    return {first, size(tokens), head.stride, head.width};
  } else {
    widen_rows(first, head.stride, size(tokens), head.width, copy);
    return {copy, size(tokens), head.width, head.width};
  }
}

/// The largest of s[0, n) and `least`. Lanes are compared side by side: not every compiler vectorises a maximum of floats.
template <class W>
inline W largest(const W* s, int64_t n, W least) {
  constexpr int64_t lanes = 16;
  W best[lanes];
  std::fill(best, best + lanes, least);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < lanes; ++lane) best[lane] = s[j + lane] > best[lane] ? s[j + lane] : best[lane];
  }
  for (; j < n; ++j) best[0] = s[j] > best[0] ? s[j] : best[0];
  return *std::max_element(best, best + lanes);
}

/// tile [a.count, b.count] = α·a·bᵀ
template <class W>
void multiply_rows(const Rows<W>& a, const Rows<W>& b, W alpha, W* tile);
/// sums [rows, D] += α·tile·b, with a row of b for each column of the tile.
template <class W>
void add_product(int64_t rows, const W* tile, const Rows<W>& b, W alpha, W* sums);
/// sums [columns, D] += α·tileᵀ·b, with a row of b for each row of the tile.
template <class W>
void add_transposed_product(int64_t columns, const W* tile, const Rows<W>& b, W alpha, W* sums);

/// Cuts pieces off a scratch area, in order; without an area it only counts.
template <class W>
class Cut {
 public:
  explicit Cut(W* area = nullptr) : area_(area) {}
  W* operator()(int64_t count) {
    W* const piece = area_ ? area_ + used_ : nullptr;
    used_ += count;
    return piece;
  }
  /// What the pieces of a `Memory` take together.
  template <class Memory>
  static int64_t needed(const AttentionExtents& n) {
    Cut cut;
    const Memory counted(cut, n);
    return cut.used_;
  }

 private:
  W* area_;
  int64_t used_ = 0;
};

}  // namespace kappa::attention_blocks
