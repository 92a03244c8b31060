#pragma once
// Tokens to their experts' slots and back (spec: model, §3 Router and Experts). With s(n, k) the slot of token n's k-th choice:
//
//     dispatch     slots[s(n, k)] = x[n]            dx[n] = Σ_k dslots[s(n, k)]
//     combine      out[n] = Σ_k p[n, k]·y[s(n, k)]     dy[s(n, k)] = p[n, k]·dout[n]     dp[n, k] = ⟨dout[n], y[s(n, k)]⟩
//
// A dropped choice has no slot: it adds nothing, and its dp is 0. A slot that nobody has is 0, forwards and backwards: what it
// held before must not reach the experts' weight gradients, where even 0·NaN would be NaN. Sums over k are in order, in the wide
// type, rounded once.
//
// All throw InputError that names the argument whose shape or type does not fit.

#include "engine/ops/router/routing.h"

namespace kappa {

/// x [N, C] → [E, cap, C]
Tensor moe_dispatch(const Tensor& x, const Routing& routing);

/// confidence [N, K] wide → [E, cap] wide
Tensor moe_dispatch_confidence(const Tensor& confidence, const Routing& routing);

/// y [E, cap, C], probability [N, K] wide → [N, C]
Tensor moe_combine(const Tensor& y, const Tensor& probability, const Routing& routing);

}  // namespace kappa
