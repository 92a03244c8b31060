#include "train/optimizers/matrix_step.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/ops/orthogonalize/orthogonalize.h"
#include "engine/tensor/dispatch.h"
#include "train/optimizers/aurora.h"
#include "train/optimizers/finite.h"
#include "train/optimizers/muon.h"

namespace kappa {

double aspect_scale(int64_t m, int64_t n, bool match_rms_adamw) {
  if (match_rms_adamw) return std::min(0.2 * std::sqrt(double(std::max(m, n))), 1.0);
  return std::sqrt(std::max(1.0, double(m) / double(n)));
}

/// About as many elements are worked on at a time: enough matrices to share out, and little enough to stay near the cores.
static constexpr int64_t elements_at_a_time = int64_t{1} << 20;

template <class T>
static std::vector<LearnedMatrix<T>> matrices_of(std::span<const MatrixTensors> tensors, const MatrixBatch& shape) {
  std::vector<LearnedMatrix<T>> matrices;
  for (const MatrixTensors& t : tensors)
    for (int64_t e = 0; e < t.parameter.size() / shape.size(); ++e)
      matrices.push_back({.parameter = t.parameter.data<T>() + e * shape.size(),
                          .gradient = t.parameter.grad<T>() + e * shape.size(),
                          .momentum = t.momentum.data<T>() + e * shape.size(),
                          .second_moment = t.second_moment ? t.second_moment.data<T>() + e * shape.lines() : nullptr});
  return matrices;
}

/// The step of one batch in arithmetic A, iterating in X.
template <class A, class X, class T, class Queue>
static bool step_of(MatrixOptimizer optimizer, Queue queue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices,
                    const MatrixRates& rates) {
  return optimizer == MatrixOptimizer::muon ? muon_step<A, X>(queue, batch, matrices, rates)
                                            : aurora_step<A, X>(queue, batch, matrices, rates);
}

void matrix_step(const MatrixStep& how, std::span<const MatrixTensors> tensors, const MatrixRates& rates) {
  if (tensors.empty()) return;
  const Tensor& first = tensors.front().parameter;
  MatrixBatch batch{.count = 0, .rows = first.dim(-2), .columns = first.dim(-1)};
  bool finite = true;
  dispatch("matrix_step", first.dtype(), first.device(), [&]<class T>(T, CpuQueue queue) {
    const auto matrices = matrices_of<T>(tensors, batch);
    const int64_t total = int64_t(matrices.size()), at_a_time = std::max<int64_t>(1, elements_at_a_time / batch.size());
    for (int64_t done = 0; done < total; done += batch.count) {
      batch.count = std::min(at_a_time, total - done);
      const LearnedMatrix<T>* const some = matrices.data() + done;
      with_arithmetic<T>(how.rounding, [&]<class A>(A) {
        if constexpr (std::is_same_v<T, float>) {
          if (!how.iterate_in_bfloat16) return void(finite &= step_of<A, float>(how.optimizer, queue, batch, some, rates));
          finite &= step_of<A, bfloat16>(how.optimizer, queue, batch, some, rates);
        } else {
          finite &= step_of<A, T>(how.optimizer, queue, batch, some, rates);
        }
      });
    }
  });
  if (finite) return;
  for (const MatrixTensors& t : tensors)
    expect_finite(t.name,
                  {{"gradient", gradient_of_parameter(t.parameter)}, {"momentum", t.momentum}, {"parameter", t.parameter}});
}

double matrix_step_flops(const MatrixStep& how, int64_t m, int64_t n) {
  const MatrixBatch one{.count = 1, .rows = m, .columns = n};
  const bool aurora = how.optimizer == MatrixOptimizer::aurora;
  const double side = double(one.side()), square = side * side * side, tall = double(one.lines()) * side * side;
  const double half = how.iterate_in_bfloat16 ? 1 : 0.5, polynomials = 5;
  const bool gram = aurora && !how.iterate_in_bfloat16 && cheaper_form<float>(one) == PolarForm::gram;
  const double multiplications =
      gram ? half * (tall + (4 * polynomials - 3) * square) + tall : polynomials * (half * (tall + square) + tall);
  return 2 * multiplications * (aurora && m != n ? 2 : 1);
}

}  // namespace kappa
