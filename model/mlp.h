#pragma once
// The dense feed-forward layer: SwiGLU, with a constant κ where configured, or ReLU² (spec: model §2, §3).

#include <optional>

#include "engine/nn/linear.h"
#include "model/kappa.h"

namespace kappa {

class Mlp {
 public:
  Mlp(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global);

  /// x [B, T, C] normalised; slope_max [1] is U of dense layers. Gives [B, T, C].
  Tensor operator()(const Tensor& x, const Tensor& slope_max) const;
  const KappaParameters* kappa() const { return kappa_ ? &*kappa_ : nullptr; }

 private:
  std::optional<KappaParameters> kappa_;
  std::optional<Linear> gate_;  // not with ReLU²
  Linear up_, down_;
};

}  // namespace kappa
