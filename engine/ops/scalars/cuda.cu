// Parameters spread over gates, on the GPU; the other ops of the family run on the CPU alone.

#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "engine/ops/scalars/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256;

template <class W>
__global__ void __launch_bounds__(threads) expand_kernel(Expansion<W> e, const W* x, W* y) {
  const int64_t r = blockIdx.y, u = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (u < e.units) y[r * e.units + u] = e.factor * x[r * e.row_stride + u * e.unit_stride];
}

template <class W>
__global__ void __launch_bounds__(threads) shrink_full_kernel(Expansion<W> e, const W* dy, GradOut<W> dx) {
  const int64_t r = blockIdx.y, u = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (u < e.units) dx.put(r * e.row_stride + u, e.factor * dy[r * e.units + u]);
}

/// sums[r] = Σ_u dy[r, u], one warp a row.
template <class W>
__global__ void row_sums_kernel(Expansion<W> e, const W* dy, double* sums) {
  const int64_t r = blockIdx.x;
  double sum = 0;
  for (int64_t u = threadIdx.x; u < e.units; u += warp_lanes) sum += double(dy[r * e.units + u]);
  sum = warp_sum(sum);
  if (threadIdx.x == 0) sums[r] = sum;
}

/// A row's sum to its own element, or all rows' to the one there is.
template <class W>
__global__ void shrink_rows_kernel(Expansion<W> e, const double* sums, GradOut<W> dx) {
  const int64_t r = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (r >= (e.row_stride ? e.rows : 1)) return;
  double sum = sums[r];
  if (!e.row_stride)
    for (int64_t i = 1; i < e.rows; ++i) sum += sums[i];
  dx.put(r, e.factor * W(sum));
}

}  // namespace

template <class W>
void expand_forward(GridQueue queue, const Expansion<W>& e, const W* x, W* y) {
  launch("expand", expand_kernel<W>, {{blocks_for(e.units, threads), unsigned(e.rows)}, threads}, queue, e, x, y);
}

template <class W>
void expand_backward(GridQueue queue, const Expansion<W>& e, const W* dy, GradOut<W> dx) {
  if (!dx) return;
  if (e.unit_stride) {
    launch("expand_backward", shrink_full_kernel<W>, {{blocks_for(e.units, threads), unsigned(e.rows)}, threads}, queue, e, dy,
           dx);
    return;
  }
  const Scratch<double> sums(queue, e.rows);
  double* const sum = sums;
  launch("expand_row_sums", row_sums_kernel<W>, {unsigned(e.rows), warp_lanes}, queue, e, dy, sum);
  launch("expand_backward", shrink_rows_kernel<W>, {blocks_for(e.row_stride ? e.rows : 1, threads), threads}, queue, e,
         static_cast<const double*>(sum), dx);
}

#define KAPPA_INSTANTIATE(W)                                                  \
  template void expand_forward(GridQueue, const Expansion<W>&, const W*, W*); \
  template void expand_backward(GridQueue, const Expansion<W>&, const W*, GradOut<W>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
