#pragma once
// What the router says about each selected pair of a token and an expert (spec: model, §3 Router and Experts; training, §12.6).
//
//     p = softmax over the K selected logits s, then 0 where dropped; the others are not renormalised
//
//     confidence c, by kind:    top_logits  c_e·s        router_probs  2·p        constant  the constant
//
// 0 where dropped, but the constant everywhere. The factor takes out the scale of the router's row, with ŵ_e = √(‖w_e‖² + 1e-4):
//
//     c_e = 6 / (√C · ŵ_e^a · mean_e ŵ_e^(1−a))        for a ≤ 0:  c_e = 0.3
//
// Gradients, with dp and dc taken as 0 where dropped, α the scale of the confidence's gradient, and dp' = dp + 2α·dc for
// router_probs:
//
//     ds = p·(dp' − Σ_k dp'·p) + α·c_e·dc        the last term for top_logits alone

#include "engine/ops/router/routing.h"

namespace kappa {

enum class Confidence { top_logits, router_probs, constant };

/// c_e [E] wide, a constant for the gradient. router_weight [E, C]; `norm_exponent` is a.
Tensor confidence_factors(const Tensor& router_weight, double norm_exponent);

struct RouterGateInputs {
  Tensor logits;  // [N, E] wide, without a bias that only selects
  Routing routing;
  Confidence kind;
  Tensor factors;                      // [E] wide, c_e; for top_logits
  double constant = 1;                 // for constant
  double confidence_grad_scale = 0.1;  // α
};

struct RouterGate {
  Tensor probability;  // [N, K] wide
  Tensor confidence;   // [N, K] wide
};

/// Throws InputError that names the argument whose shape or type does not fit.
RouterGate router_gate(const RouterGateInputs& in);

}  // namespace kappa
