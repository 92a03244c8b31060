#pragma once
// Causal softmax attention with a window and grouped queries (spec: model, §3 Attention). For the query of head h at position t
// and the keys j of kv head h / (H/Hkv) that it sees, those with j ≤ t and t − j ≤ window:
//
//     s_j = ⟨q, k_j⟩ / √D        p_j = e^(s_j − lse),  lse = ln Σ_j e^(s_j)        o = Σ_j p_j·v_j
//
//     dv_j = Σ p_j·do        ds_j = p_j·(⟨do, v_j⟩ − ⟨do, o⟩)        dq = Σ_j ds_j·k_j / √D        dk_j = Σ ds_j·q / √D
//
// where the sums of dv and dk run over all queries of all heads of the group.

#include "engine/tensor/tensor.h"

namespace kappa {

struct AttentionInputs {
  Tensor q;        // [B, T, H, D]
  Tensor k, v;     // [B, S, Hkv, D], S ≥ T: keys of S − T earlier tokens come first, then those of the queries' own
  int64_t window;  // how many keys back a query sees, beside its own
};

/// o [B, T, H, D]. No more than a block of probabilities exists at a time; kept for the way back are the inputs, o and lse.
/// Throws InputError that names the argument whose shape or type does not fit.
Tensor attention(const AttentionInputs& in);

/// The same where k and v are a cache with room for later tokens: its first `keys` tokens count, the queries' own last among
/// them. Not recorded.
Tensor cached_attention(const AttentionInputs& in, int64_t keys);

}  // namespace kappa
