#pragma once
// Losses that are one number, and what they are made of. All are wide and of shape [1].

#include <span>

#include "engine/tensor/tensor.h"

namespace kappa {

/// mean x²                     dx = 2x/n·dy          (spec: training §12.5, the κ L2 term)
Tensor mean_square(const Tensor& x);

/// Σ_i weights_i·terms_i: terms [1] each, weights [n] on the device, so that a captured step sees them change.   dterm_i =
/// weights_i·dy
Tensor weighted_sum(std::span<const Tensor> terms, const Tensor& weights);

/// Mean of values [N] where targets [N] ≥ 0; 0 if there are none.        dvalue_i = dy/count where counted
Tensor masked_mean(const Tensor& values, const Tensor& targets);

/// A parameter of size `rows`·`units`, `rows` or 1, times a constant, as [rows, units]: how κ of any granularity meets its gates.
/// dx = factor·(sum of dy over what the element was spread to)
Tensor expand(const Tensor& x, int64_t rows, int64_t units, double factor);

}  // namespace kappa
