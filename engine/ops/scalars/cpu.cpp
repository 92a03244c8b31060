#include <algorithm>

#include "engine/device/block_sum.h"
#include "engine/ops/scalars/kernels.h"

namespace kappa {
namespace {

/// dx gets factor·x.
template <class W>
void put_scaled(int64_t n, const W* x, W factor, GradOut<W> dx) {
  if (!dx) return;
  parallel_ranges(n, sum_block, [&](Range r) {
    for (int64_t i = r.begin; i < r.end; ++i) dx.put(i, factor * x[i]);
  });
}

int64_t counted(int64_t n, const int32_t* targets) {
  return std::count_if(targets, targets + n, [](int32_t t) { return t >= 0; });
}

}  // namespace

template <class W>
double mean_of_squares(CpuQueue, int64_t n, const W* x) {
  const double sum = block_sum(n, [&](Range r) {
    double part = 0;
    for (int64_t i = r.begin; i < r.end; ++i) part += double(x[i]) * double(x[i]);
    return part;
  });
  return sum / double(n);
}

template <class W>
void mean_square_forward(CpuQueue queue, int64_t n, const W* x, W* y) {
  *y = W(mean_of_squares(queue, n, x));
}
template <class W>
void mean_square_backward(CpuQueue, int64_t n, const W* x, const W* dy, GradOut<W> dx) {
  put_scaled(n, x, 2 * *dy / W(n), dx);
}

template <class W>
void masked_mean_forward(CpuQueue, int64_t n, const W* values, const int32_t* targets, W* y) {
  const double sum = block_sum(n, [&](Range r) {
    double part = 0;
    for (int64_t i = r.begin; i < r.end; ++i) part += targets[i] >= 0 ? double(values[i]) : 0.0;
    return part;
  });
  *y = W(sum / double(std::max<int64_t>(counted(n, targets), 1)));
}
template <class W>
void masked_mean_backward(CpuQueue, int64_t n, const int32_t* targets, const W* dy, GradOut<W> dvalues) {
  if (!dvalues) return;
  const W share = *dy / W(std::max<int64_t>(counted(n, targets), 1));
  for (int64_t i = 0; i < n; ++i) dvalues.put(i, targets[i] >= 0 ? share : W(0));
}

template <class W>
void expand_forward(CpuQueue, const Expansion<W>& e, const W* x, W* y) {
  parallel_for(e.rows, [&](int64_t r) {
    for (int64_t u = 0; u < e.units; ++u) y[r * e.units + u] = e.factor * x[r * e.row_stride + u * e.unit_stride];
  });
}
template <class W>
void expand_backward(CpuQueue, const Expansion<W>& e, const W* dy, GradOut<W> dx) {
  if (!dx) return;
  double total = 0;
  for (int64_t r = 0; r < e.rows; ++r) {
    double row = 0;
    for (int64_t u = 0; u < e.units; ++u) {
      const W d = dy[r * e.units + u];
      if (e.unit_stride)
        dx.put(r * e.row_stride + u, e.factor * d);
      else
        row += double(d);
    }
    if (!e.unit_stride && e.row_stride) dx.put(r, e.factor * W(row));
    total += row;
  }
  if (!e.unit_stride && !e.row_stride) dx.put(0, e.factor * W(total));
}

#define KAPPA_INSTANTIATE(W)                                                                   \
  template double mean_of_squares(CpuQueue, int64_t, const W*);                                \
  template void mean_square_forward(CpuQueue, int64_t, const W*, W*);                          \
  template void mean_square_backward(CpuQueue, int64_t, const W*, const W*, GradOut<W>);       \
  template void masked_mean_forward(CpuQueue, int64_t, const W*, const int32_t*, W*);          \
  template void masked_mean_backward(CpuQueue, int64_t, const int32_t*, const W*, GradOut<W>); \
  template void expand_forward(CpuQueue, const Expansion<W>&, const W*, W*);                   \
  template void expand_backward(CpuQueue, const Expansion<W>&, const W*, GradOut<W>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
