#pragma once
// Muon or Aurora on tensors.

#include <span>
#include <string_view>

#include "engine/ops/orthogonalize/kernels.h"
#include "engine/tensor/tensor.h"
#include "train/optimizers/matrix_optimizer.h"

namespace kappa {

struct MatrixTensors {
  std::string_view name;  // the parameter's
  Tensor parameter;       // [m, n], or [E, m, n]: E matrices; with its gradient
  Tensor momentum;        // the same shape; zeros before the first step
  Tensor second_moment;   // Muon: [max(m, n)] or [E, max(m, n)]; zeros before the first step
};

/// The update's scale for matrices [m, n] as they are stored (§6.1): min(0.2·√max(m, n), 1) if the RMS of AdamW's updates is to
/// be matched, else √max(1, m/n).
double aspect_scale(int64_t m, int64_t n, bool match_rms_adamw);

/// How a step is computed, whatever its rates are.
struct MatrixStep {
  MatrixOptimizer optimizer = MatrixOptimizer::aurora;
  bool iterate_in_bfloat16 = false;  // the polar iterations
  OptimizerRounding rounding = OptimizerRounding::once;
};

/// One step of tensors that have the same last two extents. Which of them are given together matters to the rounding of products
/// at most. Throws RunError, naming parameter, tensor and place, if a value is not finite.
void matrix_step(const MatrixStep& how, std::span<const MatrixTensors> tensors, const MatrixRates& rates);

/// FLOPs of the products that a step makes of one matrix [m, n], symmetric ones counted by their halves where they are computed
/// so.
double matrix_step_flops(const MatrixStep& how, int64_t m, int64_t n);

}  // namespace kappa
