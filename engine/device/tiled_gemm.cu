// A matrix product by tiles in shared memory, the oracle of the library's: not fast, but short. A block computes 32 × 32 elements
// of C, a thread four of them; every step brings 16 columns of A and rows of B.

#include "engine/core/profile.h"
#include "engine/device/cuda_warp.h"
#include "engine/device/grid_gemm.h"

namespace kappa {
namespace {

constexpr int side = 32, depth = 16, threads = 256, rows_each = side * side / threads;

template <class W>
struct Tiles {
  W a[side][depth + 1], b[depth][side + 1];  // a column more than needed: neighbours lie in different banks
};

template <class T, class C>
__global__ void tiled_gemm_kernel(GemmShape s, const T* a, const T* b, GradOut<C> c) {
  using W = Wide<T>;
  Tiles<W>& tiles = shared<Tiles<W>>();
  const int64_t first_row = int64_t(blockIdx.x) * side, first_column = int64_t(blockIdx.y) * side, batch = blockIdx.z;
  const T *const a_matrix = a + batch * s.m * s.k, *const b_matrix = b + batch * s.k * s.n;
  const int t = int(threadIdx.x), column = t % side, row = t / side * rows_each;
  W sums[rows_each] = {};
  for (int64_t first = 0; first < s.k; first += depth) {
    for (int i = t; i < side * depth; i += threads) {
      // Neighbouring threads read neighbouring addresses, whichever way a matrix is stored.
      const int m = s.transpose_a ? i % side : i / depth, ka = s.transpose_a ? i / side : i % depth;
      const int64_t am = first_row + m, ak = first + ka;
      tiles.a[m][ka] = am < s.m && ak < s.k ? W(a_matrix[s.transpose_a ? ak * s.m + am : am * s.k + ak]) : W(0);
      const int n = s.transpose_b ? i / depth : i % side, kb = s.transpose_b ? i % depth : i / side;
      const int64_t bn = first_column + n, bk = first + kb;
      tiles.b[kb][n] = bn < s.n && bk < s.k ? W(b_matrix[s.transpose_b ? bn * s.k + bk : bk * s.n + bn]) : W(0);
    }
    __syncthreads();
    for (int k = 0; k < depth; ++k)
      for (int r = 0; r < rows_each; ++r) sums[r] += tiles.a[row + r][k] * tiles.b[k][column];
    __syncthreads();
  }
  for (int r = 0; r < rows_each; ++r) {
    const int64_t m = first_row + row + r, n = first_column + column;
    if (m < s.m && n < s.n) c.put((batch * s.m + m) * s.n + n, sums[r]);
  }
}

}  // namespace

template <class T, class C>
void tiled_gemm(GridQueue queue, const GemmShape& s, const T* a, const T* b, GradOut<C> c) {
  if (!c || s.batch * s.m * s.n == 0) return;
  const Grid grid{.blocks = {blocks_for(s.m, side), blocks_for(s.n, side), unsigned(s.batch)}, .threads = threads};
  launch("tiled_gemm", tiled_gemm_kernel<T, C>, grid, queue, s, a, b, c);
}

#define KAPPA_INSTANTIATE(T, C) template void tiled_gemm(GridQueue, const GemmShape&, const T*, const T*, GradOut<C>);
KAPPA_INSTANTIATE(double, double)
KAPPA_INSTANTIATE(float, float)
KAPPA_INSTANTIATE(bfloat16, bfloat16)
KAPPA_INSTANTIATE(bfloat16, float)
#undef KAPPA_INSTANTIATE

#ifndef __CUDACC__
template <class T, class C>
void gemm(EmulatedQueue queue, const GemmShape& s, const T* a, const T* b, GradOut<C> c) {
  const PartScope part(c ? 2 * s.batch * s.m * s.n * s.k : 0);
  tiled_gemm(queue, s, a, b, c);
}
#define KAPPA_INSTANTIATE(T, C) template void gemm(EmulatedQueue, const GemmShape&, const T*, const T*, GradOut<C>);
KAPPA_INSTANTIATE(double, double)
KAPPA_INSTANTIATE(float, float)
KAPPA_INSTANTIATE(bfloat16, bfloat16)
KAPPA_INSTANTIATE(bfloat16, float)
#endif

}  // namespace kappa
