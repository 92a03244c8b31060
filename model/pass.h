#pragma once
// What the modules of one forward pass are told.

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ops/router/routing.h"

namespace kappa {

class KvCache;

/// The place of a block in a pass: its layer, and in looped models the number of the loop.
struct Place {
  int64_t loop, layer;
  bool looped = false;
  /// act.h.0.mlp, in a looped model act.loop.1.h.0.mlp
  std::string name(std::string_view what) const {
    return looped ? fmt::format("act.loop.{}.h.{}.{}", loop, layer, what) : fmt::format("act.h.{}.{}", layer, what);
  }
};

/// Sees the values of a pass as they are made. What it does not copy is gone when the pass is.
using Trace = std::function<void(Place place, const char* what, const Tensor& value)>;

struct Pass {
  bool training = true;
  int64_t step = 0;  // the optimizer step, from 0: what EMA keepers and the router's noise depend on
  int64_t total_steps = 1;
  uint64_t seed = 0;       // of the router's noise
  int64_t micro_step = 0;  // micro-batches of a step have noise of their own
  Trace trace = {};
  /// Top-k choices [N, K] to impose instead of making them, by loop pass · n_layer + layer; none where there is nothing to
  /// impose.
  std::vector<Tensor> imposed_choices = {};
  /// What the inputs continue; it takes them up. For passes that are not recorded.
  KvCache* cache = nullptr;

  void show(Place place, const char* what, const Tensor& value) const {
    if (trace) trace(place, what, value);
  }
};

}  // namespace kappa
