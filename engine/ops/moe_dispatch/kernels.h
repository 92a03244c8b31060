#pragma once
// What the kernels of all devices share: their arguments and signatures. No tensors, no tape.
//
// Two movements do all: tokens' rows to slots, and slots' rows back to tokens. Each is the other's gradient.

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/ops/router/routing_table.h"

namespace kappa {

template <class T>
struct RowsToMove {
  RoutingTable routing;
  int64_t channels;        // C
  const T* rows;           // [N, C] of tokens, or [E, cap, C] of slots
  const Wide<T>* weights;  // [N, K], or null for ones
};

/// slots [E, cap, C]: slot s(n, k) gets weights[n, k]·rows[n], a slot without an assignment 0.
template <class T>
void tokens_to_slots(CpuQueue, const RowsToMove<T>&, GradOut<T> slots);
/// tokens [N, C]: token n gets Σ_k weights[n, k]·rows[s(n, k)].
template <class T>
void slots_to_tokens(CpuQueue, const RowsToMove<T>&, GradOut<T> tokens);

template <class T>
struct CombineProducts {
  RoutingTable routing;
  int64_t channels;  // C
  const T* dout;     // [N, C]
  const T* y;        // [E, cap, C]
};

/// dp [N, K]: ⟨dout[n], y[s(n, k)]⟩, 0 where dropped.
template <class T>
void combine_products(CpuQueue, const CombineProducts<T>&, GradOut<Wide<T>> dp);

/// slots [E, cap] gets values [N, K]; a slot without an assignment 0.
template <class W>
void choices_to_slots(CpuQueue, const RoutingTable&, const W* values, W* slots);
/// choices [N, K] gets values [E, cap]; a dropped choice 0.
template <class W>
void slots_to_choices(CpuQueue, const RoutingTable&, const W* values, GradOut<W> choices);

}  // namespace kappa
