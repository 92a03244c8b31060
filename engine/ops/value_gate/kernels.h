#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/core/vector_math.h"
#include "engine/ops/value_gate/channels.h"

namespace kappa {

struct ValueGateExtents {
  int64_t tokens, heads, head_size, channels;  // B·T, Hkv, D, C
};

template <class T>
struct ValueGateValues {
  ValueGateExtents n;
  const T* embedding;  // [tokens, Hkv, D]
  const T* x;          // [tokens, C]
  const T* weight;     // [Hkv, 32]
};

template <class T>
struct ValueGateGradients {
  const T* dy;              // [tokens, Hkv, D]
  GradOut<T> v, embedding;  // [tokens, Hkv, D]
  GradOut<T> x;             // [tokens, C]
  GradOut<Wide<T>> weight;  // [Hkv, 32]
};

/// 2·σ(z) and its derivative; 1 − σ is formed without cancellation.
template <class W>
struct ValueGatePoint {
  W gate, dgate_dz;
  KAPPA_HD explicit ValueGatePoint(W z) {
    const W tail = fast_exp(-z), sigma = 1 / (1 + tail);
    gate = 2 * sigma;
    dgate_dz = gate * tail * sigma;
  }
};

/// v, y [tokens, Hkv, D]
template <class T>
void value_gate_forward(CpuQueue, const ValueGateValues<T>&, const T* v, T* y);
template <class T>
void value_gate_backward(CpuQueue, const ValueGateValues<T>&, const ValueGateGradients<T>&);

}  // namespace kappa
