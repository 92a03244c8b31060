#include "model/mlp.h"

#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/kappa_swiglu/kappa_swiglu.h"
#include "engine/ops/swiglu/swiglu.h"
#include "model/init.h"

namespace kappa {

static std::optional<KappaParameters> dense_kappa(const Scope& scope, const ModelConfig& config, int64_t layer,
                                                  GlobalKappa& global) {
  if (!config.kappa_active(layer)) return std::nullopt;
  return KappaParameters(scope, config, {.experts = 1, .units = config.hidden_size(), .dense = true}, global);
}

static std::optional<Linear> gate_projection(const Scope& scope, const ModelConfig& config) {
  if (config.dense_mlp == DenseMlp::relu2) return std::nullopt;
  return Linear(scope / "gate_proj", {config.hidden_size(), config.n_embd}, matrix_init(config), false);
}

Mlp::Mlp(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global)
    : kappa_(dense_kappa(scope, config, layer, global)),
      gate_(gate_projection(scope, config)),
      up_(scope / "c_fc", {config.hidden_size(), config.n_embd}, matrix_init(config), false),
      down_(scope / "c_proj", {config.n_embd, config.hidden_size()}, Init{}, false) {}

Tensor Mlp::operator()(const Tensor& x, const Tensor& slope_max) const {
  if (!gate_) return down_(relu_squared(up_(x)));
  const Tensor g = (*gate_)(x), u = up_(x);
  if (!kappa_) return down_(swiglu(g, u));
  const Shape one_expert{1, g.shape().rows(), g.dim(-1)};
  const Tensor h =
      kappa_swiglu({.gate = g.reshape(one_expert), .up = u.reshape(one_expert), .bias = kappa_->bias(), .slope_max = slope_max});
  return down_(h.reshape(g.shape()));
}

}  // namespace kappa
