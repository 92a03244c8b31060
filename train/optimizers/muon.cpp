#include "train/optimizers/muon.h"

#include "engine/ops/orthogonalize/orthogonalize.h"

namespace kappa {

static constexpr double beta2 = 0.95;
static constexpr NormRule below_one{.gain = 1.01, .eps = 1e-6};
static constexpr Quintic polar_express[] = {{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                            {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                            {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                            {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                            {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};

// The direct form: Polar Express multiplies small singular values by up to 990, and in Gram space, which keeps their squares,
// rounding errors by up to 990².
template <class A, class X, class T, class Queue>
bool muon_step(Queue queue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const MatrixRates& rates) {
  using W = Wide<T>;
  const OrthogonalizeSpace<X, Queue> space(queue, batch, PolarForm::direct);
  const int64_t lines = batch.count * batch.lines();
  const Scratch<W> u(queue, batch.count * batch.size()), squares(queue, lines), scale(queue, lines);

  mix_momentum<A>(queue, batch, matrices, rates.momentum, u);
  line_squares<W>(queue, batch, u, squares);
  norm_scales<W>(queue, batch, squares, below_one, scale);
  scale_lines<X>(queue, batch, u, scale, space.x());
  const X* const x = orthogonalize(queue, batch, std::span(polar_express), space);

  line_squares<X>(queue, batch, x, squares);
  normalize_lines<T>(queue, batch, matrices, squares, beta2, scale);
  return muon_update<A>(queue, batch, matrices, x, static_cast<const W*>(scale), rates);
}

#define KAPPA_INSTANTIATE(A, X, T) \
  template bool muon_step<A, X>(CpuQueue, const MatrixBatch&, const LearnedMatrix<T>*, const MatrixRates&);
KAPPA_INSTANTIATE(double, double, double)
KAPPA_INSTANTIATE(float, float, float)
KAPPA_INSTANTIATE(float, bfloat16, float)
KAPPA_INSTANTIATE(float, bfloat16, bfloat16)
KAPPA_INSTANTIATE(EachOp, bfloat16, bfloat16)

}  // namespace kappa
