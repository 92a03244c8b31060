#pragma once
// The SwiGLU gate, what κ-SwiGLU is when κ = 1:
//
//     h = g·σ(g)·u        ∂h/∂u = g·σ        ∂h/∂g = u·(σ + g·σ(1−σ))

#include "engine/tensor/tensor.h"

namespace kappa {

/// h of the shape and type of `gate` and `up`.
Tensor swiglu(const Tensor& gate, const Tensor& up);

}  // namespace kappa
