#pragma once
// Newton–Schulz iterations: an odd polynomial of degree 5, applied to the singular values of a matrix several times, drives them
// towards 1 and leaves the singular vectors. One composition of products for all devices.

#include <span>
#include <utility>

#include "engine/device/gemm.h"
#include "engine/memory/scratch.h"
#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {

/// Memory for the iterations on one batch.
template <class W, class Queue>
class OrthogonalizeSpace {
 public:
  OrthogonalizeSpace(Queue queue, const MatrixBatch& batch)
      : x_(queue, batch.count * batch.size()),
        y_(queue, batch.count * batch.size()),
        gram_(queue, batch.count * batch.side() * batch.side()),
        polynomial_(queue, batch.count * batch.side() * batch.side()) {}

  W* x() const { return x_; }                    // [E, m, n]
  W* y() const { return y_; }                    // [E, m, n]
  W* gram() const { return gram_; }              // [E, side, side]
  W* polynomial() const { return polynomial_; }  // [E, side, side]

 private:
  Scratch<W> x_, y_, gram_, polynomial_;
};

/// Applies the polynomials one after the other to the matrices in space.x(), of spectral norm below 1 or so; says where the
/// result is: in space.x() or space.y(). Tall matrices are multiplied from the right, so that the Gram matrix is the smaller of
/// the two.
template <class W, class Queue>
const W* orthogonalize(Queue queue, const MatrixBatch& batch, std::span<const Quintic> polynomials,
                       const OrthogonalizeSpace<W, Queue>& space) {
  const int64_t side = batch.side();
  const MatrixBatch grams{.count = batch.count, .rows = side, .columns = side};
  const GemmShape apply{.m = batch.rows, .n = batch.columns, .k = side, .batch = batch.count};
  W *x = space.x(), *y = space.y();
  for (const Quintic& polynomial : polynomials) {
    gram_matrices(queue, batch, x, space.gram());
    gram_matrices(queue, grams, space.gram(), space.polynomial());  // A² = A·Aᵀ
    gram_polynomial(queue, batch, polynomial, space.gram(), space.polynomial());
    const GradOut<W> out{.data = y};
    if (batch.tall())
      gemm(queue, apply, x, space.polynomial(), out);
    else
      gemm(queue, apply, space.polynomial(), x, out);
    std::swap(x, y);
  }
  return x;
}

}  // namespace kappa
