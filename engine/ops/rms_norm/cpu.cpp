#include <algorithm>
#include <cmath>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/rms_norm/kernels.h"

namespace kappa {
namespace {

/// Rows of a tile: some 16 thousand elements.
int64_t row_grain(RmsNormExtents n) { return std::max<int64_t>(1, 16384 / n.width); }

template <class In, class Out>
KAPPA_WIDE void forward_rows(int64_t width, const In* x, Out* y, Wide<Out>* inverse_rms, Range rows) {
  using W = Wide<Out>;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const In* in = x + row * width;
    Out* out = y + row * width;
    W squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < width; ++j) squares += W(in[j]) * W(in[j]);
    const W r = 1 / std::sqrt(squares / W(width) + W(rms_norm_epsilon));
    // Not marked simd: GCC would then lay a bfloat16 down in memory before it is stored, and not vectorise.
    for (int64_t j = 0; j < width; ++j) out[j] = Out(W(in[j]) * r);
    inverse_rms[row] = r;
  }
}

template <class In, class Out>
KAPPA_WIDE void backward_rows(int64_t width, const RmsNormGradients<In, Out>& d, Range rows) {
  using W = Wide<Out>;
  const GradOut<In> dx = d.dx;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t first = row * width;
    const In* kept = d.kept + first;
    const Out* dy = d.dy + first;
    const W r = d.inverse_rms[row], to_y = std::is_same_v<In, Out> ? W(1) : r;
    W dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < width; ++j) dot += W(dy[j]) * (W(kept[j]) * to_y);
    const W mean = dot / W(width) * to_y;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) dx.put(first + j, r * (W(dy[j]) - W(kept[j]) * mean));
  }
}

}  // namespace

template <class In, class Out>
void rms_norm_forward(CpuQueue, RmsNormExtents n, const In* x, Out* y, Wide<Out>* inverse_rms) {
  parallel_ranges(n.rows, row_grain(n), [&](Range rows) { forward_rows(n.width, x, y, inverse_rms, rows); });
}

template <class In, class Out>
void rms_norm_backward(CpuQueue, RmsNormExtents n, const RmsNormGradients<In, Out>& d) {
  if (!d.dx) return;
  parallel_ranges(n.rows, row_grain(n), [&](Range rows) { backward_rows(n.width, d, rows); });
}

#define KAPPA_INSTANTIATE(In, Out)                                                       \
  template void rms_norm_forward(CpuQueue, RmsNormExtents, const In*, Out*, Wide<Out>*); \
  template void rms_norm_backward(CpuQueue, RmsNormExtents, const RmsNormGradients<In, Out>&);
KAPPA_INSTANTIATE(double, double)
KAPPA_INSTANTIATE(float, float)
KAPPA_INSTANTIATE(bfloat16, bfloat16)
KAPPA_INSTANTIATE(float, bfloat16)
KAPPA_INSTANTIATE(bfloat16, float)

}  // namespace kappa
