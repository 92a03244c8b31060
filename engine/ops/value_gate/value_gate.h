#pragma once
// Value embeddings, mixed into the values through a gate per token and kv head (spec: model, §3 Attention). With w the head's row
// of the weight and e its part of the token's value embedding:
//
//     z = Σ_{c<32} w[c]·x[c]        gate = 2·σ(z)        y = v + gate·e
//
//     dv = dy        de = gate·dy        dz = 2·σ(1−σ)·⟨dy, e⟩        dx[c] = Σ_heads dz·w[c]        dw[c] = Σ_tokens dz·x[c]

#include "engine/ops/value_gate/channels.h"
#include "engine/tensor/tensor.h"

namespace kappa {

struct ValueGateInputs {
  Tensor v;          // [B, T, Hkv, D]
  Tensor embedding;  // [B, T, Hkv·D] or [B, T, Hkv, D]
  Tensor x;          // [B, T, C] the layer's input, C ≥ 32
  Tensor weight;     // [Hkv, 32], its gradient wide
};

/// [B, T, Hkv, D]. The gate is computed in the wide type, and again on the way back. As the first contribution to dx it writes
/// zeros to the channels from 32 on: call it before the other uses of x (v first), then it adds to 32 channels alone.
/// Throws InputError that names the argument whose shape or type does not fit.
Tensor value_gate(const ValueGateInputs& in);

}  // namespace kappa
