#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

struct RotaryExtents {
  int64_t batch, tokens, heads, half;  // B, T, H, D/2
};

enum class Rotation { forward, back };

template <class T>
struct RotaryTurn {
  RotaryExtents n;
  const T* x;               // [B, T, H, D]
  const Wide<T>*cos, *sin;  // [T, D/2], from the first token's position on
  Rotation rotation;
  GradOut<T> y;  // [B, T, H, D]
};

/// y gets x rotated.
template <class T>
void rotary_turn(CpuQueue, const RotaryTurn<T>& turn);

}  // namespace kappa
