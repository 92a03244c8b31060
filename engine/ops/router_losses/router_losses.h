#pragma once
// What keeps a router in shape (spec: model, §3 Auxiliary losses; training, §12.3 and §12.4). Means over the N tokens, of logits
// l:
//
//     load balancing   E·Σ_e P_e·f_e                 P_e = mean p_e,  p = softmax(l) over all experts
//                                                    f_e = mean of [e selected], dropped or not; no gradient
//     z-loss           mean(LSE(l − m)² + m²)        m = mean_e l,  LSE = log Σ_e exp
//
// Gradients, for one token and under the loss's gradient g:
//
//     load balancing   dl_j = g·E/N·p_j·(f_j − Σ_e p_e·f_e)
//     z-loss           dl_j = g/N·(2·LSE·(p_j − 1/E) + 2·m/E)

#include "engine/ops/router/routing.h"

namespace kappa {

/// logits [N, E] wide, N ≥ 1 → [1] wide. Throws InputError that names what does not fit.
Tensor load_balancing_loss(const Tensor& logits, const Routing& routing);

struct RouterZLoss {
  bool demean;         // LSE(l − m)²; without it LSE(l)²
  bool penalize_mean;  // … + m²
};

/// logits [N, E] wide, N ≥ 1 → [1] wide. Throws InputError that names what does not fit.
Tensor router_z_loss(const Tensor& logits, RouterZLoss options);

}  // namespace kappa
