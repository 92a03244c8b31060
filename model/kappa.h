#pragma once
// κ's parameters in one layer: bias and scale at any granularity, their keepers, and what they cost (spec: model §1, §3; training
// §12.5).

#include <optional>

#include "engine/nn/parameter.h"
#include "engine/ops/ema_rms/ema_rms.h"
#include "model/config.h"
#include "model/pass.h"

namespace kappa {

/// The pair that all layers share with the granularity `global`; each is declared where a layer first needs it.
struct GlobalKappa {
  const Parameter* bias = nullptr;
  const Parameter* scale = nullptr;
};

/// The four κ regularisers, each a list of terms [1], one a layer.
struct KappaLosses {
  Tensors bias_l2, scale_l2, bias_floor, scale_floor;
};

class KappaParameters {
 public:
  /// `module` is the scope of the layer's MLP or of its experts. A dense layer is one expert whose confidence is constant.
  struct Gates {
    int64_t experts, units;  // E, F
    bool dense;
  };
  KappaParameters(const Scope& module, const ModelConfig& config, Gates gates, GlobalKappa& global);

  /// z = bias + scale·c with c from the router; without a scale z = bias, the constant confidence already in it. Both [E, F],
  /// or [E', F] of the experts [E'] that are asked for.
  Tensor bias(const Tensor& experts = {}) const;
  bool has_scale() const { return scale_; }
  Tensor scale(const Tensor& experts = {}) const;

  /// Lets the keepers see the parameters, once a forward pass with targets.
  void advance_keepers(const Pass& pass) const;
  void add_losses(KappaLosses& losses) const;

 private:
  struct Keeper {
    const Buffer &ema, &target, &initialized, &ready;
    EmaRmsKeeper tensors() const { return {ema.value, target.value, initialized.value, ready.value}; }
  };
  static Keeper declare_keeper(const Scope& scope);
  Tensor spread(const Parameter& parameter, const Tensor& experts, double factor) const;

  const ModelConfig& config_;
  Gates gates_;
  const Parameter* bias_ = nullptr;
  const Parameter* scale_ = nullptr;  // none where the confidence is constant
  std::optional<Keeper> bias_keeper_, scale_keeper_;
};

}  // namespace kappa
