#include <algorithm>
#include <cmath>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/rms_norm/kernels.h"
#include "engine/ops/rms_norm/rms_norm.h"

namespace kappa {
namespace {

/// Rows of a tile: some 16 thousand elements.
int64_t row_grain(RmsNormExtents n) { return std::max<int64_t>(1, 16384 / n.width); }

template <class T>
KAPPA_WIDE void forward_rows(int64_t width, const T* x, T* y, Wide<T>* inverse_rms, Range rows) {
  using W = Wide<T>;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T* in = x + row * width;
    T* out = y + row * width;
    W squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < width; ++j) squares += W(in[j]) * W(in[j]);
    const W r = 1 / std::sqrt(squares / W(width) + W(rms_norm_epsilon));
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) out[j] = T(W(in[j]) * r);
    inverse_rms[row] = r;
  }
}

template <class T>
KAPPA_WIDE void backward_rows(int64_t width, const RmsNormGradients<T>& d, Range rows) {
  using W = Wide<T>;
  const GradOut<T> dx = d.dx;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t first = row * width;
    const T *y = d.y + first, *dy = d.dy + first;
    W dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < width; ++j) dot += W(dy[j]) * W(y[j]);
    const W r = d.inverse_rms[row], mean = dot / W(width);
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) dx.put(first + j, r * (W(dy[j]) - W(y[j]) * mean));
  }
}

}  // namespace

template <class T>
void rms_norm_forward(CpuQueue, RmsNormExtents n, const T* x, T* y, Wide<T>* inverse_rms) {
  parallel_ranges(n.rows, row_grain(n), [&](Range rows) { forward_rows(n.width, x, y, inverse_rms, rows); });
}

template <class T>
void rms_norm_backward(CpuQueue, RmsNormExtents n, const RmsNormGradients<T>& d) {
  if (!d.dx) return;
  parallel_ranges(n.rows, row_grain(n), [&](Range rows) { backward_rows(n.width, d, rows); });
}

#define KAPPA_INSTANTIATE(T)                                                        \
  template void rms_norm_forward(CpuQueue, RmsNormExtents, const T*, T*, Wide<T>*); \
  template void rms_norm_backward(CpuQueue, RmsNormExtents, const RmsNormGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
