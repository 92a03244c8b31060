#pragma once
// The router's logits (spec: model, §3 Router; training, §12.3).
//
//     logits = x·Wᵀ
//
// The router z-loss is to reach the weight in full and the input scaled, so the logits have two gradients:
//
//     dW = (d_main + d_z)ᵀ·x        dx = (d_main + scale·d_z)·W
//
// With noise, where r are logits too, of a weight of their own:
//
//     noisy = logits + softplus(r)·normal        dr = (d_main + d_z)·normal·σ(r)

#include "engine/tensor/tensor.h"

namespace kappa {

/// One value in one memory, with two gradients.
struct RouterLogits {
  Tensor main;  // [N, E] wide: for whoever wants the whole gradient to reach the router's input
  Tensor z;     // [N, E] wide: for the z-loss
};

/// x [N, C], weight [E, C], of one type; `z_input_grad_scale` is the scale above.
/// Throws InputError that names the argument whose shape or type does not fit.
RouterLogits router_logits(const Tensor& x, const Tensor& weight, double z_input_grad_scale);

/// Noisy top-k: `scale_logits` is r, `normal` are numbers from the normal distribution, both [N, E] wide. Each gradient goes on
/// to its own one of `logits`, and both to r; `normal` has none.
RouterLogits add_router_noise(const RouterLogits& logits, const Tensor& scale_logits, const Tensor& normal);

}  // namespace kappa
