#pragma once
// The floor under a κ parameter's size (spec: training §12.5): a keeper follows r = √(mean x² + 1e-12) by an exponential average,
//
//     ema ← r at first, then β·ema + (1−β)·r          while collecting: target ← ema, ready ← true
//
// and once it has a target, x pays for falling below a fraction of it:
//
//     loss = max(0, fraction·target − r)²             dx = −2·max(0, …)·x/(n·r)·dloss

#include "engine/tensor/tensor.h"

namespace kappa {

struct EmaRmsKeeper {
  Tensor ema, target;         // [1] wide
  Tensor initialized, ready;  // [1] int32, 0 or 1
};

struct KeeperStep {
  double beta;
  bool collecting;  // between the anchors
};
/// Lets the keeper see x once. Throws RunError naming `name` if x, or what the keeper holds, is not finite.
void advance(const EmaRmsKeeper& keeper, const Tensor& x, KeeperStep step, std::string_view name);

/// The loss [1] wide; 0 while the keeper has no target.
Tensor rms_floor(const Tensor& x, const EmaRmsKeeper& keeper, double fraction);

}  // namespace kappa
