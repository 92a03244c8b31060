#pragma once
// RMS normalisation over the last axis, without a learned weight (spec: model, notation).
//
//     y = x·r        r = 1 / √(mean(x²) + ε)        dx = r·(dy − y·mean(dy·y))

#include "engine/tensor/tensor.h"

namespace kappa {

/// ε: the float32 machine epsilon, for every type.
constexpr double rms_norm_epsilon = 0x1p-23;

/// y of the shape and type of x […, n]; the mean is taken in the wide type. Keeps y and r for the way back, not x.
/// Throws InputError if x has no last axis or an empty one.
Tensor rms_norm(const Tensor& x);

}  // namespace kappa
