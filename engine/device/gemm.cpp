#include "engine/device/gemm.h"

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"

namespace kappa {
namespace {

struct TileSizes {
  int64_t m, n;
};

/// Whole rows if they are not very long: the BLAS is up to a fifth faster on 256 × 1024 than on 256 × 512. Down to 256 × 256
/// where there are fewer than eight, enough for the cores of a laptop; smaller ones only for a second pair of cores.
TileSizes tile_sizes(const GemmShape& s) {
  TileSizes tile{s.m < 256 ? s.m : 256, s.n < 4096 ? s.n : 4096};
  const auto tiles = [&] { return s.batch * ceil_div(s.m, tile.m) * ceil_div(s.n, tile.n); };
  while (tiles() < 4 || (tiles() < 8 && tile.m * tile.n > 256 * 256)) {
    if (tile.m <= 64 && tile.n <= 64) break;
    int64_t& longer = tile.m >= tile.n ? tile.m : tile.n;
    longer = (longer / 2 + 15) / 16 * 16;
  }
  return tile;
}

template <class W>
void multiply(const GemmShape& s, const W* a, const W* b, W* c, bool add) {
  const TileSizes tile = tile_sizes(s);
  const int64_t rows = ceil_div(s.m, tile.m), columns = ceil_div(s.n, tile.n);
  parallel_for(s.batch * rows * columns, [&](int64_t index) {
    const int64_t batch = index / (rows * columns), i = index / columns % rows * tile.m, j = index % columns * tile.n;
    TileProduct<W> p{.m = s.m - i < tile.m ? s.m - i : tile.m,
                     .n = s.n - j < tile.n ? s.n - j : tile.n,
                     .k = s.k,
                     .a = a + batch * s.m * s.k + (s.transpose_a ? i : i * s.k),
                     .a_stride = s.transpose_a ? s.m : s.k,
                     .transpose_a = s.transpose_a,
                     .b = b + batch * s.k * s.n + (s.transpose_b ? j * s.k : j),
                     .b_stride = s.transpose_b ? s.k : s.n,
                     .transpose_b = s.transpose_b,
                     .c = c + (batch * s.m + i) * s.n + j,
                     .c_stride = s.n,
                     .beta = add ? W(1) : W(0)};
    multiply_tile(p);
  });
}

KAPPA_WIDE void widen_range(const bfloat16* from, float* to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to[i] = from[i];
}
template <class C>
KAPPA_WIDE void put_range(const float* from, GradOut<C> to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to.put(i, from[i]);
}

constexpr int64_t grain = 16384;

}  // namespace

template <class T, class C>
void gemm(CpuQueue queue, const GemmShape& s, const T* a, const T* b, GradOut<C> c) {
  if (!c || s.batch * s.m * s.n == 0) return;
  if constexpr (std::is_same_v<T, bfloat16>) {
    const int64_t a_size = s.batch * s.m * s.k, b_size = s.batch * s.k * s.n, c_size = s.batch * s.m * s.n;
    const Scratch<float> wide_a(queue, a_size), wide_b(queue, b_size), wide_c(queue, c_size);
    parallel_ranges(a_size, grain, [&](Range r) { widen_range(a, wide_a, r); });
    parallel_ranges(b_size, grain, [&](Range r) { widen_range(b, wide_b, r); });
    multiply<float>(s, wide_a, wide_b, wide_c, false);
    parallel_ranges(c_size, grain, [&](Range r) { put_range(wide_c, c, r); });
  } else {
    multiply(s, a, b, c.data, c.add);
  }
}

template void gemm(CpuQueue, const GemmShape&, const double*, const double*, GradOut<double>);
template void gemm(CpuQueue, const GemmShape&, const float*, const float*, GradOut<float>);
template void gemm(CpuQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<bfloat16>);
template void gemm(CpuQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<float>);

}  // namespace kappa
