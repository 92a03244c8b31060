#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/core/wide.h"
#include "engine/device/gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {
namespace {

constexpr int64_t element_grain = 16384;                 // about as many elements a tile of rows has
constexpr int64_t column_grain = 256;                    // columns of one matrix that a tile owns
constexpr int64_t band = 96;                             // rows of one Gram matrix that a tile owns, from the diagonal on
constexpr int64_t tile_rows = 256, tile_columns = 1024;  // of a product with one

/// Calls body(matrix, rows) for tiles of whole rows.
template <class Body>
void for_rows(const MatrixBatch& batch, Body&& body) {
  const int64_t grain = element_grain < batch.columns ? 1 : element_grain / batch.columns, tiles = ceil_div(batch.rows, grain);
  parallel_for(batch.count * tiles, [&](int64_t tile) {
    const int64_t begin = tile % tiles * grain, end = begin + grain;
    body(tile / tiles, Range{begin, end < batch.rows ? end : batch.rows});
  });
}

/// 1 − x and 1 − x·y: rounded factors and ops where every op rounds, else computed in double and rounded once.
template <class A>
A one_minus(double x) {
  if constexpr (std::is_same_v<A, EachOp>) return A(1.0) - A(x);
  return A(1 - x);
}
template <class A>
A one_minus(double x, double y) {
  if constexpr (std::is_same_v<A, EachOp>) return A(1.0) - A(x) * A(y);
  return A(1 - x * y);
}

template <class A, class T>
KAPPA_WIDE void mix_range(const LearnedMatrix<T>& matrix, A gain, Wide<T>* u, Range r) {
  const T* const gradient = matrix.gradient;
  T* const momentum = matrix.momentum;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) {
    const A g(gradient[i]), m = lerp(A(momentum[i]), g, gain);
    momentum[i] = T(m);
    u[i] = Wide<T>(lerp(m, g, gain));
  }
}

template <class X>
KAPPA_WIDE void row_squares(const X* x, int64_t columns, Wide<X>* squares, Range rows) {
  using W = Wide<X>;
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    const X* const row = x + i * columns;
    W sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += W(row[j]) * W(row[j]);
    squares[i] = sum;
  }
}

template <class X>
KAPPA_WIDE void column_squares(const X* x, int64_t rows, int64_t stride, Wide<X>* squares, Range columns) {
  using W = Wide<X>;
  const int64_t n = columns.end - columns.begin;
  W sums[column_grain] = {};
  for (int64_t i = 0; i < rows; ++i) {
    const X* const row = x + i * stride + columns.begin;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sums[j] += W(row[j]) * W(row[j]);
  }
  for (int64_t j = 0; j < n; ++j) squares[columns.begin + j] = sums[j];
}

template <class X, bool wide>
KAPPA_WIDE void scale_rows(const Wide<X>* u, int64_t columns, const Wide<X>* scale, X* y, Range rows) {
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    const Wide<X>* const from = u + i * columns;
    X* const to = y + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) to[j] = X(from[j] * scale[wide ? j : i]);
  }
}

template <class X>
KAPPA_WIDE void polynomial_rows(const Quintic& q, int64_t side, const X* gram, X* square, Range rows) {
  using W = Wide<X>;
  const W a = W(q.a), b = W(q.b), c = W(q.c);
#pragma omp simd
  for (int64_t i = rows.begin * side; i < rows.end * side; ++i) square[i] = X(b * W(gram[i]) + c * W(square[i]));
  for (int64_t i = rows.begin; i < rows.end; ++i) square[i * side + i] = X(W(square[i * side + i]) + a);
}

template <class X>
KAPPA_WIDE void add_range(Wide<X> a, const X* x, X* y, Range r) {
  using W = Wide<X>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) y[i] = X(a * W(x[i]) + W(y[i]));
}

template <class A, class T, class X>
KAPPA_WIDE bool aurora_range(T* p, const X* o, A decay, A step, Range r) {
  Wide<T> residue = 0;  // 0·p summed over all p stored: 0, or NaN if one of them is not finite
#pragma omp simd reduction(+ : residue)
  for (int64_t i = r.begin; i < r.end; ++i) {
    const A updated = A(p[i]) * decay - step * A(o[i]);
    p[i] = T(updated);
    residue += 0 * Wide<T>(updated);
  }
  return residue == 0;
}

template <class A, bool wide, class T, class X>
KAPPA_WIDE bool muon_rows(T* p, const X* x, int64_t columns, const Wide<X>* line_scale, A step, A decay, Range rows) {
  Wide<T> residue = 0;
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    T* const parameter = p + i * columns;
    const X* const from = x + i * columns;
#pragma omp simd reduction(+ : residue)
    for (int64_t j = 0; j < columns; ++j) {
      const A old(parameter[j]), direction = A(from[j]) * A(line_scale[wide ? j : i]);
      const A updated = old - (step * direction + (direction * old >= A(0.0) ? decay * old : A(0.0)));
      parameter[j] = T(updated);
      residue += 0 * Wide<T>(updated);
    }
  }
  return residue == 0;
}

/// √Σ squares, or √Σ scale²·squares.
template <class W>
W norm_of(const W* squares, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += squares[i];
  return W(std::sqrt(sum));
}
template <class W>
W norm_of(const W* squares, const W* scale, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += scale[i] * scale[i] * squares[i];
  return W(std::sqrt(sum));
}

/// The larger of the two; NaN if x is.
template <class W>
W at_least(W floor, W x) {
  return x < floor ? floor : x;
}

}  // namespace

template <class A, class T>
void mix_momentum(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, double momentum, Wide<T>* u) {
  const A gain = one_minus<A>(momentum);
  for_rows(batch, [&](int64_t e, Range rows) {
    mix_range(matrices[e], gain, u + e * batch.size(), {rows.begin * batch.columns, rows.end * batch.columns});
  });
}

template <class X>
void line_squares(CpuQueue, const MatrixBatch& batch, const X* x, Wide<X>* squares) {
  if (!batch.wide())
    return for_rows(
        batch, [&](int64_t e, Range rows) { row_squares(x + e * batch.size(), batch.columns, squares + e * batch.rows, rows); });
  const int64_t tiles = ceil_div(batch.columns, column_grain);
  parallel_for(batch.count * tiles, [&](int64_t tile) {
    const int64_t e = tile / tiles, begin = tile % tiles * column_grain, end = begin + column_grain;
    column_squares(x + e * batch.size(), batch.rows, batch.columns, squares + e * batch.columns,
                   {begin, end < batch.columns ? end : batch.columns});
  });
}

template <class X>
void scale_lines(CpuQueue, const MatrixBatch& batch, const Wide<X>* u, const Wide<X>* scale, X* y) {
  const auto rows_of = batch.wide() ? scale_rows<X, true> : scale_rows<X, false>;
  for_rows(batch, [&](int64_t e, Range rows) {
    rows_of(u + e * batch.size(), batch.columns, scale + e * batch.lines(), y + e * batch.size(), rows);
  });
}

template <class W>
void norm_scales(CpuQueue, const MatrixBatch& batch, const W* squares, NormRule rule, W* scale) {
  const int64_t lines = batch.lines();
  parallel_for(batch.count, [&](int64_t e) {
    const W factor = 1 / (W(rule.gain) * norm_of(squares + e * lines, lines) + W(rule.eps));
    for (int64_t i = e * lines; i < (e + 1) * lines; ++i) scale[i] = factor;
  });
}

template <class W>
void balance_lines(CpuQueue, const MatrixBatch& batch, const W* u_squares, const W* o_squares, double eps, W* balance, W* scale) {
  const int64_t lines = batch.lines();
  const W target = W(batch.side()) / W(lines);
  parallel_for(batch.count, [&](int64_t e) {
    W* const d = balance + e * lines;
    const W* const u = u_squares + e * lines;
    for (int64_t i = 0; i < lines; ++i)
      d[i] = o_squares ? d[i] * std::sqrt(target / at_least(W(1e-14), o_squares[e * lines + i]))
                       : 1 / at_least(W(1e-7), std::sqrt(u[i]));
    const W factor = 1 / (norm_of(u, d, lines) + W(eps));
    for (int64_t i = 0; i < lines; ++i) scale[e * lines + i] = d[i] * factor;
  });
}

template <class T>
void normalize_lines(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const Wide<T>* squares, double beta2,
                     Wide<T>* scale) {
  using W = Wide<T>;
  const int64_t lines = batch.lines();
  const W gain = W(1 - beta2), share = 1 / W(batch.side());
  parallel_for(batch.count, [&](int64_t e) {
    const W* const x = squares + e * lines;
    T* const v = matrices[e].second_moment;
    W* const r = scale + e * lines;
    for (int64_t i = 0; i < lines; ++i) {
      v[i] = T(lerp(W(v[i]), share * x[i], gain));
      r[i] = 1 / std::sqrt(at_least(W(1e-10), W(v[i])));
    }
    const W factor = norm_of(x, lines) / at_least(W(1e-10), norm_of(x, r, lines));
    for (int64_t i = 0; i < lines; ++i) r[i] *= factor;
  });
}

/// The block [rows, columns] of g [side, side] gets the transpose of the block [columns, rows], in squares that fit the L1 cache:
/// a whole column of a matrix lies in few of its sets.
template <class W>
void mirror(W* g, int64_t side, Range rows, Range columns) {
  constexpr int64_t square = 16;
  for (int64_t i = rows.begin; i < rows.end; i += square)
    for (int64_t j = columns.begin; j < columns.end; j += square)
      for (int64_t y = i; y < std::min(i + square, rows.end); ++y)
        for (int64_t x = j; x < std::min(j + square, columns.end); ++x) g[y * side + x] = g[x * side + y];
}

template <class W>
void symmetric_products(CpuQueue, const MatrixBatch& batch, const W* x, const W* y, W* product) {
  const int64_t side = batch.side(), bands = ceil_div(side, band);
  const bool tall = batch.tall();
  parallel_for(batch.count * bands, [&](int64_t tile) {
    const int64_t e = tile / bands, begin = tile % bands * band, end = begin + band < side ? begin + band : side;
    const int64_t first = e * batch.size() + begin * (tall ? 1 : batch.columns);
    W* const g = product + e * side * side;
    multiply_tile<W>({.m = end - begin,
                      .n = side - begin,
                      .k = batch.lines(),
                      .a = x + first,
                      .a_stride = batch.columns,
                      .transpose_a = tall,
                      .b = y + first,
                      .b_stride = batch.columns,
                      .transpose_b = !tall,
                      .c = g + begin * side + begin,
                      .c_stride = side});
    mirror(g, side, {end, side}, {begin, end});
  });
}

template <class W>
void side_products(CpuQueue, const MatrixBatch& batch, const W* p, const W* x, W* y) {
  const int64_t side = batch.side(), m = batch.rows, n = batch.columns;
  const int64_t across = ceil_div(n, tile_columns), tiles = ceil_div(m, tile_rows) * across;
  const bool tall = batch.tall();
  parallel_for(batch.count * tiles, [&](int64_t tile) {
    const int64_t e = tile / tiles, i = tile % tiles / across * tile_rows, j = tile % across * tile_columns;
    const W *const square = p + e * side * side, *const matrix = x + e * batch.size();
    multiply_tile<W>({.m = std::min(tile_rows, m - i),
                      .n = std::min(tile_columns, n - j),
                      .k = side,
                      .a = (tall ? matrix : square) + i * side,
                      .a_stride = side,
                      .transpose_a = false,
                      .b = (tall ? square : matrix) + j,
                      .b_stride = n,
                      .transpose_b = false,
                      .c = y + e * batch.size() + i * n + j,
                      .c_stride = n});
  });
}

template <class X>
void gram_polynomial(CpuQueue, const MatrixBatch& batch, const Quintic& q, const X* gram, X* gram_squared) {
  const int64_t side = batch.side();
  for_rows({batch.count, side, side}, [&](int64_t e, Range rows) {
    polynomial_rows(q, side, gram + e * side * side, gram_squared + e * side * side, rows);
  });
}

template <class X>
void add_scaled(CpuQueue, const MatrixBatch& batch, double a, const X* x, X* y) {
  parallel_ranges(batch.count * batch.size(), element_grain, [&](Range r) { add_range(Wide<X>(a), x, y, r); });
}

template <class A, class T, class X>
bool aurora_update(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const X* o, const MatrixRates& rates) {
  const A decay = one_minus<A>(rates.lr, rates.weight_decay), step = A(rates.lr * rates.scale);
  std::atomic<bool> finite = true;
  for_rows(batch, [&](int64_t e, Range rows) {
    const Range elements{rows.begin * batch.columns, rows.end * batch.columns};
    if (!aurora_range(matrices[e].parameter, o + e * batch.size(), decay, step, elements)) finite = false;
  });
  return finite;
}

template <class A, class T, class X>
bool muon_update(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const X* x, const Wide<X>* line_scale,
                 const MatrixRates& rates) {
  const A step = A(rates.lr * rates.scale), decay = A(rates.lr * rates.scale * rates.weight_decay);
  const auto rows_of = batch.wide() ? muon_rows<A, true, T, X> : muon_rows<A, false, T, X>;
  std::atomic<bool> finite = true;
  for_rows(batch, [&](int64_t e, Range rows) {
    if (!rows_of(matrices[e].parameter, x + e * batch.size(), batch.columns, line_scale + e * batch.lines(), step, decay, rows))
      finite = false;
  });
  return finite;
}

#define KAPPA_INSTANTIATE_WIDE(W)                                                                \
  template void norm_scales(CpuQueue, const MatrixBatch&, const W*, NormRule, W*);               \
  template void balance_lines(CpuQueue, const MatrixBatch&, const W*, const W*, double, W*, W*); \
  template void symmetric_products(CpuQueue, const MatrixBatch&, const W*, const W*, W*);        \
  template void side_products(CpuQueue, const MatrixBatch&, const W*, const W*, W*);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

#define KAPPA_INSTANTIATE(X)                                                                   \
  template void line_squares(CpuQueue, const MatrixBatch&, const X*, Wide<X>*);                \
  template void scale_lines(CpuQueue, const MatrixBatch&, const Wide<X>*, const Wide<X>*, X*); \
  template void gram_polynomial(CpuQueue, const MatrixBatch&, const Quintic&, const X*, X*);   \
  template void add_scaled(CpuQueue, const MatrixBatch&, double, const X*, X*);                \
  template void normalize_lines(CpuQueue, const MatrixBatch&, const LearnedMatrix<X>*, const Wide<X>*, double, Wide<X>*);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_UPDATE(A, T, X)                                                                              \
  template bool aurora_update<A>(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>*, const X*, const MatrixRates&); \
  template bool muon_update<A>(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>*, const X*, const Wide<X>*,        \
                               const MatrixRates&);
KAPPA_INSTANTIATE_UPDATE(double, double, double)
KAPPA_INSTANTIATE_UPDATE(float, float, float)
KAPPA_INSTANTIATE_UPDATE(float, float, bfloat16)
KAPPA_INSTANTIATE_UPDATE(float, bfloat16, bfloat16)
KAPPA_INSTANTIATE_UPDATE(EachOp, bfloat16, bfloat16)

#define KAPPA_INSTANTIATE_MOMENTUM(A, T) \
  template void mix_momentum<A>(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>*, double, Wide<T>*);
KAPPA_INSTANTIATE_MOMENTUM(double, double)
KAPPA_INSTANTIATE_MOMENTUM(float, float)
KAPPA_INSTANTIATE_MOMENTUM(float, bfloat16)
KAPPA_INSTANTIATE_MOMENTUM(EachOp, bfloat16)

}  // namespace kappa
