#pragma once
// Finding what is not a number.

#include <optional>

#include "engine/tensor/tensor.h"

namespace kappa {

struct NotFinite {
  double value;  // an infinity or a NaN
  Shape place;   // its index along every axis
};

/// The first element of a tensor of floating-point numbers that is not finite, if there is one.
std::optional<NotFinite> first_not_finite(const Tensor& values);

}  // namespace kappa
