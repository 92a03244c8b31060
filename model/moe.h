#pragma once
// The mixture of experts: router, dispatch, (κ-)SwiGLU experts, combine (spec: model §3).

#include <optional>

#include "engine/ops/router/router_logits.h"
#include "model/kappa.h"
#include "model/pass.h"

namespace kappa {

class Moe {
 public:
  Moe(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global);

  struct Output {
    Tensor y;              // [B, T, C]
    Tensor aux, router_z;  // [1] wide; none where they are switched off, or outside of training
  };
  /// x [B, T, C] normalised; slope_max [1] is U of MoE layers. `routing` is decided here unless it is given: a block that is
  /// computed again on the way back must not decide again.
  Output operator()(const Tensor& x, const Tensor& slope_max, const Pass& pass, Place place, Routing& routing) const;

  const KappaParameters* kappa() const { return kappa_ ? &*kappa_ : nullptr; }
  /// The bias that balances without a loss (aux-free); zero and unused otherwise.
  const Buffer& expert_bias() const { return expert_bias_; }

 private:
  RouterLogits noisy(const RouterLogits& logits, const Tensor& x, const Pass& pass, Place place) const;
  struct Slots {
    Tensor x;           // [E, cap, C]
    Tensor confidence;  // [E, cap] wide, or none
    Tensor experts;     // [E] int32: which ones they are; none: all
  };
  Tensor experts(const Slots& slots, const Tensor& slope_max) const;

  const ModelConfig& config_;
  const Parameter& router_;        // [E, C]
  const Parameter* router_noise_;  // [E, C], with noisy top-k
  const Buffer& expert_bias_;      // [E]
  const Parameter& gate_;          // [E, C, F]
  std::optional<KappaParameters> kappa_;
  const Parameter &up_, &down_;  // [E, C, F], [E, F, C]
};

}  // namespace kappa
