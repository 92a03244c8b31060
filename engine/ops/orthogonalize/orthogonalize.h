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
#include "engine/device/thread_pool.h"
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

/// Where the iterations on one batch take place.
template <class X>
struct PolarMemory {
  X *x, *y;                                // [E, m, n]
  X *gram, *polynomial;                    // [E, side, side] A and p(A)
  X *product = nullptr, *spare = nullptr;  // [E, side, side] P, in Gram space

  PolarMemory from(const MatrixBatch& batch, int64_t e) const {
    const int64_t square = e * batch.side() * batch.side();
    return {x + e * batch.size(),
            y + e * batch.size(),
            gram + square,
            polynomial + square,
            product ? product + square : nullptr,
            spare ? spare + square : nullptr};
  }
};

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
  X* x() const { return x_; }  // [E, m, n]
  PolarMemory<X> memory() const { return {x_, y_, gram_, polynomial_, product_, spare_}; }

 private:
  static int64_t squares(const MatrixBatch& batch) { return batch.count * batch.side() * batch.side(); }
  PolarForm form_;
  Scratch<X> x_, y_, gram_, polynomial_, product_, spare_;
};

/// Calls body(part, first) for the parts of a batch that are iterated by themselves. On the CPU that is every matrix: one a
/// thread where there are enough, so that it stays in that core's cache and no thread waits for another in between, else all
/// threads on one after the other. The bits are the same.
template <class Body>
void for_parts(CpuQueue, const MatrixBatch& batch, Body&& body) {
  const MatrixBatch one{.count = 1, .rows = batch.rows, .columns = batch.columns};
  if (batch.count >= threads()) return parallel_for(batch.count, [&](int64_t e) { body(one, e); });
  for (int64_t e = 0; e < batch.count; ++e) body(one, e);
}

// The forms of one batch, from m.x. In Gram space the result is in m.y; directly in m.y after an odd number of polynomials, else
// in m.x.

template <class W, class Queue>
void orthogonalize_directly(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials, PolarMemory<W> m) {
  const MatrixBatch grams{.count = batch.count, .rows = batch.side(), .columns = batch.side()};
  for (const Quintic& polynomial : polynomials) {
    symmetric_products<W>(queue, batch, m.x, m.x, m.gram);
    symmetric_products<W>(queue, grams, m.gram, m.gram, m.polynomial);
    gram_polynomial(queue, batch, polynomial, m.gram, m.polynomial);
    side_products<W>(queue, batch, m.polynomial, m.x, m.y);
    std::swap(m.x, m.y);
  }
}

template <class W, class Queue>
void orthogonalize_in_gram_space(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials, PolarMemory<W> m) {
  const MatrixBatch grams{.count = batch.count, .rows = batch.side(), .columns = batch.side()};
  symmetric_products<W>(queue, batch, m.x, m.x, m.gram);
  for (size_t i = 0; i < polynomials.size(); ++i) {
    symmetric_products<W>(queue, grams, m.gram, m.gram, m.polynomial);
    gram_polynomial(queue, batch, polynomials[i], m.gram, m.polynomial);
    if (i + 1 < polynomials.size()) {
      symmetric_products<W>(queue, grams, m.gram, m.polynomial, m.spare);
      symmetric_products<W>(queue, grams, m.spare, m.polynomial, m.gram);
    }
    if (i > 0) {
      symmetric_products<W>(queue, grams, m.product, m.polynomial, m.spare);
      std::swap(m.product, m.spare);
    } else {
      std::swap(m.product, m.polynomial);
    }
  }
  side_products<W>(queue, batch, m.product, m.x, m.y);
}

/// The direct form as the paper's code has it in bfloat16: X ← aX + (bA + cA²)X with A, A², bA + cA², its product with X and X
/// itself rounded. (a·I is not added to the matrix, in which it would drown small elements.)
template <class Queue>
const bfloat16* orthogonalize_rounded(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                                      const OrthogonalizeSpace<bfloat16, Queue>& space) {
  const int64_t s = batch.side();
  const bool tall = batch.tall();
  const GemmShape gram{.m = s, .n = s, .k = batch.lines(), .transpose_a = tall, .transpose_b = !tall, .batch = batch.count};
  const GemmShape square{.m = s, .n = s, .k = s, .batch = batch.count};
  const GemmShape side{.m = batch.rows, .n = batch.columns, .k = s, .batch = batch.count};
  PolarMemory<bfloat16> m = space.memory();
  for (const Quintic& polynomial : polynomials) {
    gemm(queue, gram, m.x, m.x, GradOut<bfloat16>{.data = m.gram});
    gemm(queue, square, m.gram, m.gram, GradOut<bfloat16>{.data = m.polynomial});
    gram_polynomial(queue, batch, {0, polynomial.b, polynomial.c}, m.gram, m.polynomial);
    gemm(queue, side, tall ? m.x : m.polynomial, tall ? m.polynomial : m.x, GradOut<bfloat16>{.data = m.y});
    add_scaled(queue, batch, polynomial.a, m.x, m.y);
    std::swap(m.x, m.y);
  }
  return m.x;
}

/// Applies the polynomials (at least one) one after the other to the matrices in space.x(), of spectral norm below 1 or so; says
/// where the result is, in the space.
template <class X, class Queue>
const X* orthogonalize(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                       const OrthogonalizeSpace<X, Queue>& space) {
  if constexpr (std::is_same_v<X, bfloat16>) {
    return orthogonalize_rounded(queue, batch, polynomials, space);
  } else {
    const PolarMemory<X> all = space.memory();
    const bool gram = space.form() == PolarForm::gram;
    for_parts(queue, batch, [&](const MatrixBatch& part, int64_t first) {
      if (gram)
        orthogonalize_in_gram_space(queue, part, polynomials, all.from(batch, first));
      else
        orthogonalize_directly(queue, part, polynomials, all.from(batch, first));
    });
    return gram || polynomials.size() % 2 == 1 ? all.y : all.x;
  }
}

}  // namespace kappa
