#include "train/optimizers/aurora.h"

#include "engine/ops/orthogonalize/orthogonalize.h"

namespace kappa {

static constexpr NormRule below_one{.gain = 1, .eps = 1e-7};
static constexpr Quintic simple{2, -1.5, 0.5};
static constexpr Quintic polar[] = {simple, simple, simple, simple, simple};

template <class A, class X, class T, class Queue>
bool aurora_step(Queue queue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const MatrixRates& rates) {
  using W = Wide<T>;
  const OrthogonalizeSpace<X, Queue> space(queue, batch, cheaper_form<X>(batch));
  const int64_t lines = batch.count * batch.lines();
  const Scratch<W> u(queue, batch.count * batch.size()), u_squares(queue, lines), scale(queue, lines);
  const auto polar_of_scaled = [&] {
    scale_lines<X>(queue, batch, u, scale, space.x());
    return orthogonalize(queue, batch, std::span(polar), space);
  };

  mix_momentum<A>(queue, batch, matrices, rates.momentum, u);
  line_squares<W>(queue, batch, u, u_squares);
  if (batch.rows == batch.columns) {
    norm_scales<W>(queue, batch, u_squares, below_one, scale);
    return aurora_update<A>(queue, batch, matrices, polar_of_scaled(), rates);
  }
  const Scratch<W> balance(queue, lines), o_squares(queue, lines);
  balance_lines<W>(queue, batch, u_squares, nullptr, below_one.eps, balance, scale);
  line_squares<X>(queue, batch, polar_of_scaled(), o_squares);
  balance_lines<W>(queue, batch, u_squares, o_squares, below_one.eps, balance, scale);
  return aurora_update<A>(queue, batch, matrices, polar_of_scaled(), rates);
}

#define KAPPA_INSTANTIATE(A, X, T) \
  template bool aurora_step<A, X>(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>*, const MatrixRates&);
KAPPA_INSTANTIATE(double, double, double)
KAPPA_INSTANTIATE(float, float, float)
KAPPA_INSTANTIATE(float, bfloat16, float)
KAPPA_INSTANTIATE(float, bfloat16, bfloat16)
KAPPA_INSTANTIATE(EachOp, bfloat16, bfloat16)

}  // namespace kappa
