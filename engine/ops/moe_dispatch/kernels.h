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

template <class T>
struct CombineProducts {
  RoutingTable routing;
  int64_t channels;  // C
  const T* dout;     // [N, C]
  const T* y;        // [E, cap, C]
};

// tokens_to_slots: slots [E, cap, C]: slot s(n, k) gets weights[n, k]·rows[n], a slot without an assignment 0.
// slots_to_tokens: tokens [N, C]: token n gets Σ_k weights[n, k]·rows[s(n, k)].
// combine_products: dp [N, K]: ⟨dout[n], y[s(n, k)]⟩, 0 where dropped.
// choices_to_slots: slots [E, cap] gets values [N, K]; a slot without an assignment 0.
// slots_to_choices: choices [N, K] gets values [E, cap]; a dropped choice 0.
#define KAPPA_DECLARE(Queue)                                                    \
  template <class T>                                                            \
  void tokens_to_slots(Queue, const RowsToMove<T>&, GradOut<T> slots);          \
  template <class T>                                                            \
  void slots_to_tokens(Queue, const RowsToMove<T>&, GradOut<T> tokens);         \
  template <class T>                                                            \
  void combine_products(Queue, const CombineProducts<T>&, GradOut<Wide<T>> dp); \
  template <class W>                                                            \
  void choices_to_slots(Queue, const RoutingTable&, const W* values, W* slots); \
  template <class W>                                                            \
  void slots_to_choices(Queue, const RoutingTable&, const W* values, GradOut<W> choices);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
