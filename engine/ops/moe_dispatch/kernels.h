#pragma once
// What the kernels of all devices share: their arguments and signatures. No tensors, no tape.
//
// Two movements do all: tokens' rows to slots, and slots' rows back to tokens. Each is the other's gradient, but that the way
// back from combine finds the probabilities' gradients too, from the rows it reads anyway.

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/ops/router/routing_table.h"

namespace kappa {

template <class T>
struct RowsToMove {
  RoutingTable routing;
  int64_t channels;  // C
  const T* rows;     // [N, C] of tokens, or [E, cap, C] of slots
};

template <class T>
struct CombineBackward {
  RoutingTable routing;
  int64_t channels;            // C
  const T* dout;               // [N, C]
  const T* y;                  // [E, cap, C]
  const Wide<T>* probability;  // [N, K]
};

// tokens_to_slots: slots [E, cap, C]: slot s(n, k) gets rows[n], a slot without an assignment 0.
// slots_to_tokens: tokens [N, C]: token n gets Σ_k weights[n, k]·rows[s(n, k)]; weights [N, K], or null for ones.
// combine_backward: dy [E, cap, C]: slot s(n, k) gets probability[n, k]·dout[n], a slot without an assignment 0;
//                   dp [N, K]: ⟨dout[n], y[s(n, k)]⟩, 0 where dropped. Either may not be wanted.
// choices_to_slots: slots [E, cap] gets values [N, K]; a slot without an assignment 0.
// slots_to_choices: choices [N, K] gets values [E, cap]; a dropped choice 0.
#define KAPPA_DECLARE(Queue)                                                                    \
  template <class T>                                                                            \
  void tokens_to_slots(Queue, const RowsToMove<T>&, T* slots);                                  \
  template <class T>                                                                            \
  void slots_to_tokens(Queue, const RowsToMove<T>&, const Wide<T>* weights, GradOut<T> tokens); \
  template <class T>                                                                            \
  void combine_backward(Queue, const CombineBackward<T>&, GradOut<T> dy, GradOut<Wide<T>> dp);  \
  template <class W>                                                                            \
  void choices_to_slots(Queue, const RoutingTable&, const W* values, W* slots);                 \
  template <class W>                                                                            \
  void slots_to_choices(Queue, const RoutingTable&, const W* values, GradOut<W> choices);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
