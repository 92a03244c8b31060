#pragma once
// AdamW on tensors (spec: training §7).

#include <string_view>

#include "engine/ops/adamw/kernels.h"
#include "engine/tensor/tensor.h"
#include "train/optimizers/matrix_optimizer.h"

namespace kappa {

struct AdamWTensors {
  std::string_view name;               // the parameter's
  Tensor parameter;                    // with its gradient
  Tensor first_moment, second_moment;  // zeros before the first update
  Tensor updates;                      // int32 [1]: how many there have been
};

/// One update. `rounding` matters to parameters in bfloat16. Throws RunError, naming parameter, tensor and place, if a value is
/// not finite.
void adamw_step(const AdamWTensors& tensors, const AdamWRates& rates, OptimizerRounding rounding = OptimizerRounding::once);

}  // namespace kappa
