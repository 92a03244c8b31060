#pragma once
// The output layer and its loss in one, so that logits for all tokens never exist at once (spec: model §3, training §12.1).
//
//     z = W·h over the first V rows of W      y = s·tanh(z/s), s = 15      loss = ln Σ_v e^y_v − y_target
//
//     dz_v = dloss·(softmax(y)_v − [v = target])·(1 − (y_v/s)²)       dh = Wᵀ·dz       dW = dz·hᵀ
//
// |y| ≤ 15, so e^y needs no maximum taken off first: the sum stays below 3.3e6·V.

#include "engine/tensor/tensor.h"

namespace kappa {

struct CrossEntropyInputs {
  Tensor hidden;          // [N, C]
  Tensor weight;          // [Vp, C], Vp ≥ V; rows from V on are padding and get no gradient
  Tensor targets;         // [N] int32; −1 is ignored
  int64_t vocabulary;     // V
  int64_t chunk_tokens;   // tokens whose logits exist at once
  bool recompute = true;  // on the way back compute all but the last chunk's again; otherwise all [N, V] are kept
};

/// The loss of every token, [N] wide; 0 where the target is −1. Throws InputError for a target outside of −1 … V−1.
Tensor softcapped_cross_entropy(const CrossEntropyInputs& in);

/// y [N, V] wide, not recorded: for sampling and for looking at.
Tensor softcapped_logits(const Tensor& hidden, const Tensor& weight, int64_t vocabulary);

}  // namespace kappa
