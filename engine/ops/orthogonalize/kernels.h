#pragma once
// What the matrix optimizers (spec: training §8 Muon, §9 Aurora) do to a batch of matrices of one shape.
//
// The lines of a matrix are its rows, or, if it is wide, its columns: max(m, n) lines of min(m, n) elements. All that these
// optimizers do by row or by column they do by line in this sense, so nothing is ever transposed.

#include "engine/core/each_op.h"
#include "engine/core/queue.h"

namespace kappa {

struct MatrixBatch {
  int64_t count, rows, columns;  // E, m, n
  KAPPA_HD bool wide() const { return rows < columns; }
  KAPPA_HD bool tall() const { return rows > columns; }
  KAPPA_HD int64_t lines() const { return wide() ? columns : rows; }
  KAPPA_HD int64_t side() const { return wide() ? rows : columns; }  // elements of a line; extent of the smaller Gram matrix
  KAPPA_HD int64_t size() const { return rows * columns; }           // of one matrix
};

// Of the types below, T is what parameters and their state are stored as, X what is iterated in, and A the arithmetic of an
// update: Wide<T>, or EachOp of bfloat16.

/// One learned matrix and its state.
template <class T>
struct LearnedMatrix {
  T* parameter;       // [m, n] P
  const T* gradient;  // [m, n] G
  T* momentum;        // [m, n] M
  T* second_moment;   // [lines] V₂, of Muon
};

struct MatrixRates {
  double lr, weight_decay, momentum;  // momentum: μ
  double scale = 1;                   // of the update, from the matrix's shape
};

/// M ← M + (1−μ)·(G − M), and Nesterov's mix u = G + μ·(M − G), written M + (1−μ)·(G − M). u: [E, m, n].
template <class A, class T>
void mix_momentum(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>* matrices, double momentum, Wide<T>* u);

/// squares [E, lines]: the sum of the squares of every line of x [E, m, n].
template <class X>
void line_squares(CpuQueue, const MatrixBatch&, const X* x, Wide<X>* squares);

/// y [E, m, n]: the lines of u times scale [E, lines].
template <class X>
void scale_lines(CpuQueue, const MatrixBatch&, const Wide<X>* u, const Wide<X>* scale, X* y);

/// How a matrix is brought below spectral norm 1: X / (gain·‖X‖_F + eps).
struct NormRule {
  double gain, eps;
};
/// scale [E, lines], the same in all lines of a matrix: 1 / (gain·‖X‖_F + eps), from the squares of X's lines.
template <class W>
void norm_scales(CpuQueue, const MatrixBatch&, const W* squares, NormRule rule, W* scale);

/// Aurora's line scales D and what brings D·U below norm 1, scale = D / (‖D·U‖_F + eps); all are [E, lines].
/// Without `o_squares`, the first pass: D_i = 1 / max(‖u_i‖, 1e-7). With those of O = polar(D·U): D_i ← D_i·√(τ / max(‖o_i‖²,
/// 1e-14)), τ = min(m, n)/max(m, n) being what they would be if all lines were of one length.
template <class W>
void balance_lines(CpuQueue, const MatrixBatch&, const W* u_squares, const W* o_squares, double eps, W* balance, W* scale);

/// Muon's second moment, from the squares of X's lines: q = squares/side, V₂ ← V₂ + (1−β2)·(q − V₂), r = max(V₂, 1e-10)^−½;
/// scale = r·‖X‖_F / max(‖r·X‖_F, 1e-10).
template <class T>
void normalize_lines(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>* matrices, const Wide<T>* squares, double beta2,
                     Wide<T>* scale);

/// product [E, side, side]: X·Yᵀ of wide and of square matrices, Xᵀ·Y of tall ones, where it is known to be symmetric: one half
/// is computed, the other copied. X = Y gives Gram matrices; of symmetric matrices that commute it is their product.
template <class W>
void symmetric_products(CpuQueue, const MatrixBatch&, const W* x, const W* y, W* product);

/// y [E, m, n]: P·X, or X·P of tall matrices; P [E, side, side].
template <class W>
void side_products(CpuQueue, const MatrixBatch&, const W* p, const W* x, W* y);

/// X ← aX + (bA + cA²)X with A = XXᵀ (or, of a tall X, X ← aX + X(bA + cA²) with A = XᵀX).
struct Quintic {
  double a, b, c;
};
/// The polynomial's matrix aI + bA + cA² [E, side, side], in the place of A².
template <class X>
void gram_polynomial(CpuQueue, const MatrixBatch&, const Quintic& q, const X* gram, X* gram_squared);

/// y ← a·x + y, both [E, m, n].
template <class X>
void add_scaled(CpuQueue, const MatrixBatch&, double a, const X* x, X* y);

/// P ← P·(1 − lr·wd) − lr·scale·O. False if P now holds a value that is not finite.
template <class A, class T, class X>
bool aurora_update(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>* matrices, const X* o, const MatrixRates& rates);

/// With x the lines of `x` times `line_scale` [E, lines] and η = lr·scale: P ← P − η·x − η·wd·P where x·P ≥ 0, elsewhere without
/// the decay. False if P now holds a value that is not finite.
template <class A, class T, class X>
bool muon_update(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>* matrices, const X* x, const Wide<X>* line_scale,
                 const MatrixRates& rates);

}  // namespace kappa
