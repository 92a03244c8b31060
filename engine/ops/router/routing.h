#pragma once
// Which experts each token goes to, and into which slots (spec: model, §3 Router; training, §12.2). Integers alone: nothing here
// has a gradient or is on the tape, and what was decided is kept, never decided again.
//
// The rank of an assignment within its expert counts all first choices in token order, then all second choices, and so on. Below
// the capacity it is the slot; from there on the assignment is dropped.

#include "engine/ops/router/routing_table.h"
#include "engine/tensor/tensor.h"

namespace kappa {

struct Routing {
  int64_t experts = 0, capacity = 0;  // E, cap
  Tensor expert;                      // [N, K]   int32, in descending order of the score that selects
  Tensor rank;                        // [N, K]   int32, before the capacity check
  Tensor assignment;                  // [E, cap] int32: n·K + k in that slot, or −1

  int64_t tokens() const { return expert.dim(0); }
  int64_t top_k() const { return expert.dim(1); }
  /// What kernels see of it.
  RoutingTable table() const;
};

/// Every token's `top_k` highest of logits (+ bias), of equals the lower index first, NaN last.
/// logits [N, E] wide; bias [E] wide, for the selection only, may be no tensor; 1 ≤ top_k ≤ E, capacity ≥ 1.
/// Throws InputError that names what does not fit.
Routing route(const Tensor& logits, const Tensor& bias, int64_t top_k, int64_t capacity);

/// Ranks and slots of choices that were made elsewhere: expert [N, K] int32, each in [0, experts), else InputError.
Routing impose_routing(const Tensor& expert, int64_t experts, int64_t capacity);

/// [E] int32: how often each expert was selected, dropped or not.
Tensor expert_counts(const Routing& routing);

/// A routing over those experts that have a token, renumbered in their order, with no more slots than the fullest of them needs.
/// Its sizes depend on the choices: for passes that are not recorded, where experts without a token need not be computed.
struct UsedExperts {
  Tensor number;    // [E'] int32: which experts they are
  Routing routing;  // E' experts
};
UsedExperts used_experts(const Routing& routing);

/// For ops that take a routing: throws InputError unless it is of `tokens` tokens on `device`.
void expect_routing(std::string_view op, const Routing& routing, int64_t tokens, Device device);

}  // namespace kappa
