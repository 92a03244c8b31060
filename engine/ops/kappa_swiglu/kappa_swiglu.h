#pragma once
// The κ-SwiGLU gate (spec: model, §3 Experts; arXiv 2606.00761).
//
//     z = bias + scale·c          κ = U^tanh z          h = g·σ(κ·g)·u
//
// With t = tanh z, L = ln U, σ = σ(κ·g):
//
//     ∂h/∂u = g·σ        ∂h/∂g = u·(σ + κ·g·σ(1−σ))        ∂h/∂κ = u·g²·σ(1−σ)        ∂κ/∂z = κ·L·(1−t²)

#include "engine/tensor/tensor.h"

namespace kappa {

struct KappaSwigluInputs {
  Tensor gate;        // [E, S, F] g: what the gate projection gives for the S slots of each expert (a dense layer is one expert)
  Tensor up;          // [E, S, F] u: what the up projection gives
  Tensor bias;        // [E, F]    wide
  Tensor slope_max;   // [1]       U ≥ 1, wide; on the device, so that a captured step sees it warm up
  Tensor confidence;  // [E, S]    c, wide: the router's confidence; 0 in an empty slot. May be left out, with `scale`
  Tensor scale = {};  // [E, F]    wide
};

/// h [E, S, F] in the type of `gate`. κ is computed in the wide type and rounded to that of `gate`.
/// Throws InputError that names the argument whose shape or type does not fit.
Tensor kappa_swiglu(const KappaSwigluInputs& in);

}  // namespace kappa
