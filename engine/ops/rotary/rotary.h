#pragma once
// Rotary position embedding, halves convention (spec: model, §3 Attention): with x1, x2 the two halves of a head's vector and
// the angle t·10000^(−2j/D) of position t and channel j,
//
//     y1 = x1·cos + x2·sin        y2 = −x1·sin + x2·cos
//
// The gradient is the rotation back: the same with −sin.

#include "engine/tensor/tensor.h"

namespace kappa {

/// Cosines and sines [positions, D/2], wide, computed in float32 and rounded to what bfloat16 can hold.
struct RotaryTables {
  Tensor cos, sin;
};

/// Tables for head size D = `head_size`, which must be even, in memory of their own; `compute` is the model's type.
RotaryTables rotary_tables(int64_t positions, int64_t head_size, DType compute, Device device);

/// x [B, T, H, D] rotated, its first token standing at position `offset`. Keeps no values but the tables.
/// Throws InputError if D does not fit the tables, or if they end before position offset + T − 1.
Tensor rotary(const Tensor& x, const RotaryTables& tables, int64_t offset = 0);

}  // namespace kappa
