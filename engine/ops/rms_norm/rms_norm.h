#pragma once
// RMS normalisation over the last axis, without a learned weight (spec: model, notation).
//
//     y = x·r        r = 1 / √(mean(x²) + ε)        dx = r·(dy − y·mean(dy·y))

#include "engine/tensor/tensor.h"

namespace kappa {

/// y of the shape of x […, n], stored as `out`: the type of x; or from a wide x the compute type, or the other way round, where a
/// residual stream is wider than what is computed from it. The mean is taken in the wide type. Keeps r and one of x and y for the
/// way back: y where the types are equal, because whoever uses y keeps it too. Throws InputError if x has no last axis or an
/// empty one.
Tensor rms_norm(const Tensor& x, DType out);
inline Tensor rms_norm(const Tensor& x) { return rms_norm(x, x.dtype()); }

}  // namespace kappa
