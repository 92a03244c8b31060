#pragma once
// Element by element, of one shape, and where nothing else is said of one type.

#include "engine/tensor/tensor.h"

namespace kappa {

/// y = a + b        da = db = dy
///
/// y has the type of a; b may be narrower: what a layer adds to a wide residual stream.
Tensor add(const Tensor& a, const Tensor& b);

/// y = a·b          da = dy·b      db = dy·a
Tensor multiply(const Tensor& a, const Tensor& b);

/// y = max(x, 0)²   dx = dy·2·max(x, 0)
Tensor relu_squared(const Tensor& x);

/// The residual stream with the embedding mixed back in (spec: model §3): y = α·x + β·x0
///
///     dx = α·dy      dx0 = β·dy      dα = ⟨dy, x⟩      dβ = ⟨dy, x0⟩
///
/// α, β [1] wide.
Tensor mix(const Tensor& x, const Tensor& x0, const Tensor& alpha, const Tensor& beta);

}  // namespace kappa
