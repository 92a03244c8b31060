#include "engine/device/gemm.h"

#include <algorithm>

#include "engine/core/profile.h"
#include "engine/core/wide.h"
#include "engine/device/few_rows.h"
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
                     .b = b + s.b_first(batch) + (s.transpose_b ? j * s.k : j),
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
/// c gets the sum of `parts` [count, …], which are `size` elements apart.
template <class W, class C>
KAPPA_WIDE void put_sum(const W* parts, int64_t count, int64_t size, GradOut<C> c, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) {
    W sum = parts[i];
    for (int64_t part = 1; part < count; ++part) sum += parts[part * size + i];
    c.put(i, sum);
  }
}

constexpr int64_t grain = 16384;

/// A few rows, with B cut into pieces that lie in memory as one: columns of C where B is transposed, parts of k (whose products
/// are then added up) where it is not.
template <class T, class C>
void multiply_few(CpuQueue queue, const GemmShape& s, const Wide<T>* a, const T* b, GradOut<C> c) {
  using W = Wide<T>;
  constexpr int64_t piece = 65536;  // elements of B, at least
  const int64_t n_step = s.transpose_b ? std::max<int64_t>(4, ceil_div(piece, std::max<int64_t>(s.k, 1)) / 4 * 4) : s.n;
  const int64_t k_step = s.transpose_b ? s.k : std::max<int64_t>(8, piece * s.m / s.n / 4 * 4);
  const int64_t columns = ceil_div(s.n, n_step), parts = std::max<int64_t>(1, s.k ? ceil_div(s.k, k_step) : 0);
  const int64_t size = s.batch * s.m * s.n;
  const Scratch<W> sums(queue, parts * size);  // [parts, batch, m, n]
  parallel_for(s.batch * columns * parts, [&](int64_t index) {
    const int64_t batch = index / (columns * parts), j = index / parts % columns * n_step, x = index % parts * k_step;
    multiply_few_rows(FewRows<T>{.m = s.m,
                                 .n = std::min(n_step, s.n - j),
                                 .k = std::min(k_step, s.k - x),
                                 .a = a + batch * s.m * s.k + x,
                                 .a_stride = s.k,
                                 .b = b + s.b_first(batch) + (s.transpose_b ? j * s.k : x * s.n),
                                 .b_stride = s.transpose_b ? s.k : s.n,
                                 .transpose_b = s.transpose_b,
                                 .c = sums + index % parts * size + batch * s.m * s.n + j,
                                 .c_stride = s.n});
  });
  parallel_ranges(size, grain, [&](Range r) { put_sum<W>(sums, parts, size, c, r); });
}

}  // namespace

template <class T, class C>
void gemm(CpuQueue queue, const GemmShape& s, const T* a, const T* b, GradOut<C> c) {
  if (!c || s.batch * s.m * s.n == 0) return;
  const ProductScope scope({s.batch, s.m, s.n, s.k, s.transpose_a, s.transpose_b});
  const bool few = s.m <= few_rows && !s.transpose_a && s.k * s.n >= worth_reading_once;
  if constexpr (std::is_same_v<T, bfloat16>) {
    const int64_t a_size = s.batch * s.m * s.k, b_size = s.k * s.n, c_size = s.batch * s.m * s.n;
    const Scratch<float> wide_a(queue, a_size);
    parallel_ranges(a_size, grain, [&](Range r) { widen_range(a, wide_a, r); });
    if (few) return multiply_few<T, C>(queue, s, wide_a, b, c);
    const Scratch<float> wide_b(queue, s.batch * b_size), wide_c(queue, c_size);
    for (int64_t i = 0; i < s.batch; ++i)
      parallel_ranges(b_size, grain, [&](Range r) { widen_range(b + s.b_first(i), wide_b + i * b_size, r); });
    GemmShape copied = s;
    copied.b_of = nullptr;
    multiply<float>(copied, wide_a, wide_b, wide_c, false);
    parallel_ranges(c_size, grain, [&](Range r) { put_range(wide_c, c, r); });
  } else {
    if (few) return multiply_few<T, C>(queue, s, a, b, c);
    multiply(s, a, b, c.data, c.add);
  }
}

template void gemm(CpuQueue, const GemmShape&, const double*, const double*, GradOut<double>);
template void gemm(CpuQueue, const GemmShape&, const float*, const float*, GradOut<float>);
template void gemm(CpuQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<bfloat16>);
template void gemm(CpuQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<float>);

}  // namespace kappa
