#include <algorithm>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/embedding/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_grain = 32;  // tokens that a forward tile copies
constexpr int64_t stripe = 64;       // columns of the table that a backward tile owns

template <class T>
KAPPA_WIDE void add_columns(EmbeddingExtents n, const int32_t* ids, const T* dy, GradOut<Wide<T>> dweight, Range columns) {
  using W = Wide<T>;
  if (!dweight.add)
    for (int64_t row = 0; row < n.vocabulary; ++row)
      std::fill(dweight.data + row * n.width + columns.begin, dweight.data + row * n.width + columns.end, W(0));
  for (int64_t token = 0; token < n.tokens; ++token) {
    W* to = dweight.data + int64_t(ids[token]) * n.width;
    const T* from = dy + token * n.width;
#pragma omp simd
    for (int64_t c = columns.begin; c < columns.end; ++c) to[c] += W(from[c]);
  }
}

}  // namespace

int64_t first_id_outside(CpuQueue, EmbeddingExtents n, const int32_t* ids) {
  return std::find_if(ids, ids + n.tokens, [&](int32_t id) { return id < 0 || id >= n.vocabulary; }) - ids;
}

template <class T>
void embedding_forward(CpuQueue, EmbeddingExtents n, const int32_t* ids, const T* weight, T* y) {
  parallel_ranges(n.tokens, token_grain, [&](Range tokens) {
    for (int64_t token = tokens.begin; token < tokens.end; ++token)
      std::copy_n(weight + int64_t(ids[token]) * n.width, n.width, y + token * n.width);
  });
}

// A tile owns some columns of the whole table and walks all tokens in order: no two tiles meet, and a frequent id is no burden to
// one of them.
template <class T>
void embedding_backward(CpuQueue, EmbeddingExtents n, const int32_t* ids, const T* dy, GradOut<Wide<T>> dweight) {
  if (!dweight) return;
  parallel_ranges(n.width, stripe, [&](Range columns) { add_columns(n, ids, dy, dweight, columns); });
}

#define KAPPA_INSTANTIATE(T)                                                                 \
  template void embedding_forward(CpuQueue, EmbeddingExtents, const int32_t*, const T*, T*); \
  template void embedding_backward(CpuQueue, EmbeddingExtents, const int32_t*, const T*, GradOut<Wide<T>>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
