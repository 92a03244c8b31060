#include <atomic>
#include <cmath>

#include "engine/core/wide.h"
#include "engine/device/gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {
namespace {

constexpr int64_t element_grain = 16384;  // about as many elements a tile of rows has
constexpr int64_t column_grain = 256;     // columns of one matrix that a tile owns
constexpr int64_t band = 64;              // rows of one Gram matrix that a tile owns, from the diagonal on

/// Calls body(matrix, rows) for tiles of whole rows.
template <class Body>
void for_rows(const MatrixBatch& batch, Body&& body) {
  const int64_t grain = element_grain < batch.columns ? 1 : element_grain / batch.columns, tiles = ceil_div(batch.rows, grain);
  parallel_for(batch.count * tiles, [&](int64_t tile) {
    const int64_t begin = tile % tiles * grain, end = begin + grain;
    body(tile / tiles, Range{begin, end < batch.rows ? end : batch.rows});
  });
}

template <class W>
KAPPA_WIDE void mix_range(const LearnedMatrix<W>& matrix, W gain, W* u, Range r) {
  const W* const gradient = matrix.gradient;
  W* const momentum = matrix.momentum;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) {
    const W g = gradient[i], m = momentum[i] + gain * (g - momentum[i]);
    momentum[i] = m;
    u[i] = m + gain * (g - m);
  }
}

template <class W>
KAPPA_WIDE void row_squares(const W* x, int64_t columns, W* squares, Range rows) {
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    const W* const row = x + i * columns;
    W sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
    squares[i] = sum;
  }
}

template <class W>
KAPPA_WIDE void column_squares(const W* x, int64_t rows, int64_t stride, W* squares, Range columns) {
  const int64_t n = columns.end - columns.begin;
  W sums[column_grain] = {};
  for (int64_t i = 0; i < rows; ++i) {
    const W* const row = x + i * stride + columns.begin;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sums[j] += row[j] * row[j];
  }
  for (int64_t j = 0; j < n; ++j) squares[columns.begin + j] = sums[j];
}

template <class W, bool wide>
KAPPA_WIDE void scale_rows(const W* x, int64_t columns, const W* scale, W* y, Range rows) {
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    const W* const from = x + i * columns;
    W* const to = y + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) to[j] = from[j] * scale[wide ? j : i];
  }
}

template <class W>
KAPPA_WIDE void polynomial_rows(const Quintic& q, int64_t side, const W* gram, W* square, Range rows) {
  const W a = W(q.a), b = W(q.b), c = W(q.c);
#pragma omp simd
  for (int64_t i = rows.begin * side; i < rows.end * side; ++i) square[i] = b * gram[i] + c * square[i];
  for (int64_t i = rows.begin; i < rows.end; ++i) square[i * side + i] += a;
}

template <class W>
KAPPA_WIDE bool aurora_range(W* p, const W* o, W decay, W step, Range r) {
  W residue = 0;  // 0·p summed over all p stored: 0, or NaN if one of them is not finite
#pragma omp simd reduction(+ : residue)
  for (int64_t i = r.begin; i < r.end; ++i) {
    const W updated = p[i] * decay - step * o[i];
    p[i] = updated;
    residue += 0 * updated;
  }
  return residue == 0;
}

template <class W, bool wide>
KAPPA_WIDE bool muon_rows(W* p, const W* x, int64_t columns, const W* line_scale, W step, W decay, Range rows) {
  W residue = 0;
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    W* const parameter = p + i * columns;
    const W* const from = x + i * columns;
#pragma omp simd reduction(+ : residue)
    for (int64_t j = 0; j < columns; ++j) {
      const W old = parameter[j], direction = from[j] * line_scale[wide ? j : i];
      const W updated = old - (step * direction + (direction * old >= 0 ? decay * old : W(0)));
      parameter[j] = updated;
      residue += 0 * updated;
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

template <class W>
void mix_momentum(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<W>* matrices, double momentum, W* u) {
  for_rows(batch, [&](int64_t e, Range rows) {
    mix_range(matrices[e], W(1 - momentum), u + e * batch.size(), {rows.begin * batch.columns, rows.end * batch.columns});
  });
}

template <class W>
void line_squares(CpuQueue, const MatrixBatch& batch, const W* x, W* squares) {
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

template <class W>
void scale_lines(CpuQueue, const MatrixBatch& batch, const W* x, const W* scale, W* y) {
  const auto rows_of = batch.wide() ? scale_rows<W, true> : scale_rows<W, false>;
  for_rows(batch, [&](int64_t e, Range rows) {
    rows_of(x + e * batch.size(), batch.columns, scale + e * batch.lines(), y + e * batch.size(), rows);
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

template <class W>
void normalize_lines(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<W>* matrices, const W* squares, double beta2,
                     W* scale) {
  const int64_t lines = batch.lines();
  const W gain = W(1 - beta2), share = 1 / W(batch.side());
  parallel_for(batch.count, [&](int64_t e) {
    const W* const x = squares + e * lines;
    W *const v = matrices[e].second_moment, *const r = scale + e * lines;
    for (int64_t i = 0; i < lines; ++i) {
      v[i] += gain * (share * x[i] - v[i]);
      r[i] = 1 / std::sqrt(at_least(W(1e-10), v[i]));
    }
    const W factor = norm_of(x, lines) / at_least(W(1e-10), norm_of(x, r, lines));
    for (int64_t i = 0; i < lines; ++i) r[i] *= factor;
  });
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
    for (int64_t i = end; i < side; ++i)
      for (int64_t j = begin; j < end; ++j) g[i * side + j] = g[j * side + i];
  });
}

template <class W>
void gram_polynomial(CpuQueue, const MatrixBatch& batch, const Quintic& q, const W* gram, W* gram_squared) {
  const int64_t side = batch.side();
  for_rows({batch.count, side, side}, [&](int64_t e, Range rows) {
    polynomial_rows(q, side, gram + e * side * side, gram_squared + e * side * side, rows);
  });
}

template <class W>
bool aurora_update(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<W>* matrices, const W* o, const MatrixRates& rates) {
  const W decay = W(1 - rates.lr * rates.weight_decay), step = W(rates.lr * rates.scale);
  std::atomic<bool> finite = true;
  for_rows(batch, [&](int64_t e, Range rows) {
    const Range elements{rows.begin * batch.columns, rows.end * batch.columns};
    if (!aurora_range(matrices[e].parameter, o + e * batch.size(), decay, step, elements)) finite = false;
  });
  return finite;
}

template <class W>
bool muon_update(CpuQueue, const MatrixBatch& batch, const LearnedMatrix<W>* matrices, const W* x, const W* line_scale,
                 const MatrixRates& rates) {
  const W step = W(rates.lr * rates.scale), decay = W(rates.lr * rates.scale * rates.weight_decay);
  const auto rows_of = batch.wide() ? muon_rows<W, true> : muon_rows<W, false>;
  std::atomic<bool> finite = true;
  for_rows(batch, [&](int64_t e, Range rows) {
    if (!rows_of(matrices[e].parameter, x + e * batch.size(), batch.columns, line_scale + e * batch.lines(), step, decay, rows))
      finite = false;
  });
  return finite;
}

#define KAPPA_INSTANTIATE(W)                                                                                        \
  template void mix_momentum(CpuQueue, const MatrixBatch&, const LearnedMatrix<W>*, double, W*);                    \
  template void line_squares(CpuQueue, const MatrixBatch&, const W*, W*);                                           \
  template void scale_lines(CpuQueue, const MatrixBatch&, const W*, const W*, W*);                                  \
  template void norm_scales(CpuQueue, const MatrixBatch&, const W*, NormRule, W*);                                  \
  template void balance_lines(CpuQueue, const MatrixBatch&, const W*, const W*, double, W*, W*);                    \
  template void normalize_lines(CpuQueue, const MatrixBatch&, const LearnedMatrix<W>*, const W*, double, W*);       \
  template void symmetric_products(CpuQueue, const MatrixBatch&, const W*, const W*, W*);                           \
  template void gram_polynomial(CpuQueue, const MatrixBatch&, const Quintic&, const W*, W*);                        \
  template bool aurora_update(CpuQueue, const MatrixBatch&, const LearnedMatrix<W>*, const W*, const MatrixRates&); \
  template bool muon_update(CpuQueue, const MatrixBatch&, const LearnedMatrix<W>*, const W*, const W*, const MatrixRates&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
