#pragma once
// A routing as kernels see it: integers and their meaning. No tensors.

#include "engine/core/element.h"

namespace kappa {

struct RoutingExtents {
  int64_t tokens, experts, top_k, capacity;  // N, E, K, cap
};

struct RoutingTable {
  RoutingExtents n;
  const int32_t* expert;      // [N, K]
  const int32_t* rank;        // [N, K]
  const int32_t* assignment;  // [E, cap] n·K + k, or −1

  /// Where assignment a = n·K + k goes, in [0, E·cap), or −1 if it is dropped.
  KAPPA_HD int64_t slot(int64_t a) const { return rank[a] < n.capacity ? expert[a] * n.capacity + rank[a] : -1; }
};

}  // namespace kappa
