#pragma once
// Newton–Schulz iterations: an odd polynomial of degree 5, applied to the singular values of a matrix several times, drives them
// towards 1 and leaves the singular vectors. One composition of products for all devices.
//
//     directly       A = X·Xᵀ        X ← p(A)·X,                 p(A) = aI + bA + cA²
//     in Gram space  A = X·Xᵀ once,  A ← p(A)·A·p(A),  P ← P·p(A),  and X ← P·X at the end
//
// (Published as Gram Newton–Schulz, Dao et al. 2026.) All p(A) and A of one X are symmetric and commute, so half of every product
// between them is enough. With n polynomials, lines L and side S the direct form takes n·(3LS² + S³) multiply-adds, Gram space
// 3LS² + (4n−3)S³: 2.2 times fewer for L = 4S and n = 5. Tall matrices are multiplied from the right, so that A is the smaller of
// their two Gram matrices.

#include <span>
#include <utility>

#include "engine/device/gemm.h"
#include "engine/memory/scratch.h"
#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {

enum class PolarForm : uint8_t { direct, gram };

/// The form that takes less time. Gram space keeps squares of singular values, with an absolute error of an epsilon that grows by
/// a² with every polynomial: right for gentle ones (a = 2: 2¹⁰ in five steps), not for a = 8, and not worth it for small
/// matrices.
template <class X>
PolarForm cheaper_form(const MatrixBatch& batch) {
  return !std::is_same_v<X, bfloat16> && batch.side() >= 64 && batch.lines() >= 2 * batch.side() ? PolarForm::gram
                                                                                                 : PolarForm::direct;
}

/// Memory for the iterations on one batch.
/// X: double or float, or bfloat16 for the direct form with every product rounded.
template <class X, class Queue>
class OrthogonalizeSpace {
 public:
  OrthogonalizeSpace(Queue queue, const MatrixBatch& batch, PolarForm form)
      : form_(form),
        x_(queue, batch.count * batch.size()),
        y_(queue, batch.count * batch.size()),
        gram_(queue, squares(batch)),
        polynomial_(queue, squares(batch)),
        product_(queue, form == PolarForm::gram ? squares(batch) : 0),
        spare_(queue, form == PolarForm::gram ? squares(batch) : 0) {}

  PolarForm form() const { return form_; }
  X* x() const { return x_; }                    // [E, m, n]
  X* y() const { return y_; }                    // [E, m, n]
  X* gram() const { return gram_; }              // [E, side, side] A
  X* polynomial() const { return polynomial_; }  // [E, side, side] p(A)
  X* product() const { return product_; }        // [E, side, side] P, in Gram space
  X* spare() const { return spare_; }            // [E, side, side]

 private:
  static int64_t squares(const MatrixBatch& batch) { return batch.count * batch.side() * batch.side(); }
  PolarForm form_;
  Scratch<X> x_, y_, gram_, polynomial_, product_, spare_;
};

/// y = P·X, or X·P of a tall X.
template <class X, class Queue>
void multiply_side(Queue queue, const MatrixBatch& batch, const X* p, const X* x, X* y) {
  const GemmShape shape{.m = batch.rows, .n = batch.columns, .k = batch.side(), .batch = batch.count};
  if (batch.tall())
    gemm(queue, shape, x, p, GradOut<X>{.data = y});
  else
    gemm(queue, shape, p, x, GradOut<X>{.data = y});
}

template <class W, class Queue>
const W* orthogonalize_directly(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                                const OrthogonalizeSpace<W, Queue>& space) {
  const MatrixBatch grams{.count = batch.count, .rows = batch.side(), .columns = batch.side()};
  W *x = space.x(), *y = space.y();
  for (const Quintic& polynomial : polynomials) {
    symmetric_products<W>(queue, batch, x, x, space.gram());
    symmetric_products<W>(queue, grams, space.gram(), space.gram(), space.polynomial());
    gram_polynomial(queue, batch, polynomial, space.gram(), space.polynomial());
    multiply_side(queue, batch, space.polynomial(), x, y);
    std::swap(x, y);
  }
  return x;
}

template <class W, class Queue>
const W* orthogonalize_in_gram_space(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                                     const OrthogonalizeSpace<W, Queue>& space) {
  const MatrixBatch grams{.count = batch.count, .rows = batch.side(), .columns = batch.side()};
  W *a = space.gram(), *p = space.polynomial(), *product = space.product(), *spare = space.spare();
  symmetric_products<W>(queue, batch, space.x(), space.x(), a);
  for (size_t i = 0; i < polynomials.size(); ++i) {
    symmetric_products<W>(queue, grams, a, a, p);
    gram_polynomial(queue, batch, polynomials[i], a, p);
    if (i + 1 < polynomials.size()) {
      symmetric_products<W>(queue, grams, a, p, spare);
      symmetric_products<W>(queue, grams, spare, p, a);
    }
    if (i > 0) {
      symmetric_products<W>(queue, grams, product, p, spare);
      std::swap(product, spare);
    } else {
      std::swap(product, p);
    }
  }
  multiply_side(queue, batch, product, space.x(), space.y());
  return space.y();
}

/// The direct form as the paper's code has it in bfloat16: X ← aX + (bA + cA²)X with A, A², bA + cA², its product with X and X
/// itself rounded. (a·I is not added to the matrix, in which it would drown small elements.)
template <class Queue>
const bfloat16* orthogonalize_rounded(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                                      const OrthogonalizeSpace<bfloat16, Queue>& space) {
  const int64_t side = batch.side();
  const bool tall = batch.tall();
  const GemmShape gram{.m = side, .n = side, .k = batch.lines(), .transpose_a = tall, .transpose_b = !tall, .batch = batch.count};
  const GemmShape square{.m = side, .n = side, .k = side, .batch = batch.count};
  bfloat16 *x = space.x(), *y = space.y(), *const a = space.gram(), *const p = space.polynomial();
  for (const Quintic& polynomial : polynomials) {
    gemm(queue, gram, x, x, GradOut<bfloat16>{.data = a});
    gemm(queue, square, a, a, GradOut<bfloat16>{.data = p});
    gram_polynomial(queue, batch, {0, polynomial.b, polynomial.c}, a, p);
    multiply_side(queue, batch, p, x, y);
    add_scaled(queue, batch, polynomial.a, x, y);
    std::swap(x, y);
  }
  return x;
}

/// Applies the polynomials (at least one) one after the other to the matrices in space.x(), of spectral norm below 1 or so; says
/// where the result is: in space.x() or space.y().
template <class X, class Queue>
const X* orthogonalize(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                       const OrthogonalizeSpace<X, Queue>& space) {
  if constexpr (std::is_same_v<X, bfloat16>)
    return orthogonalize_rounded(queue, batch, polynomials, space);
  else if (space.form() == PolarForm::gram)
    return orthogonalize_in_gram_space(queue, batch, polynomials, space);
  else
    return orthogonalize_directly(queue, batch, polynomials, space);
}

}  // namespace kappa
