#pragma once
// What to say when a number in training is no longer finite. Nothing is skipped or clamped: the run ends (spec: training §14).

#include <initializer_list>
#include <string_view>

#include "engine/tensor/tensor.h"

namespace kappa {

struct NamedTensor {
  std::string_view what;  // "gradient"
  Tensor values;
};

/// Throws RunError for the first of `tensors` that holds a value that is not finite, with the first such value and its place:
/// "lm_head.weight: the gradient is nan at [3, 17]".
void expect_finite(std::string_view parameter, std::initializer_list<NamedTensor> tensors);

/// The gradient of a parameter as a tensor of its own.
Tensor gradient_of_parameter(const Tensor& parameter);

}  // namespace kappa
