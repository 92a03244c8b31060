#include "model/kappa.h"

#include <cmath>

#include "engine/ops/embedding/embedding.h"
#include "engine/ops/scalars/scalars.h"

namespace kappa {

static Shape shape_of(KappaGranularity granularity, KappaParameters::Gates gates) {
  switch (granularity) {
    case KappaGranularity::per_gate:
      return gates.dense ? Shape{gates.units} : Shape{gates.experts, gates.units};
    case KappaGranularity::per_expert:
      return {gates.experts};
    case KappaGranularity::per_layer:
    case KappaGranularity::global:
      return {1};
  }
  return {1};
}

KappaParameters::Keeper KappaParameters::declare_keeper(const Scope& scope) {
  ParameterStore& store = scope.store();
  const auto number = [&](const char* name) -> const Buffer& {
    return store.declare_buffer({.name = scope.name(name), .shape = {1}, .scalar = true});
  };
  const auto boolean = [&](const char* name) -> const Buffer& {
    return store.declare_buffer({.name = scope.name(name), .shape = {1}, .boolean = true, .scalar = true});
  };
  return {number("ema_rms"), number("target_rms"), boolean("initialized"), boolean("target_ready")};
}

KappaParameters::KappaParameters(const Scope& module, const ModelConfig& config, Gates gates, GlobalKappa& global)
    : config_(config), gates_(gates) {
  ParameterStore& store = module.store();
  const bool with_scale = !gates.dense && config.kappa_input != KappaInput::constant;
  const auto parameter = [&](const char* name, const Parameter*& shared) -> const Parameter* {
    const Shape shape = shape_of(config.kappa_granularity, gates);
    if (config.kappa_granularity != KappaGranularity::global)
      return &store.declare({.name = module.name(name), .shape = shape, .role = Role::kappa});
    if (!shared) shared = &store.declare({.name = std::string("global_") + name, .shape = shape, .role = Role::kappa});
    return shared;
  };
  bias_ = parameter("kappa_bias", global.bias);
  if (with_scale) scale_ = parameter("kappa_scale", global.scale);
  if (!config.kappa_ema_rms_reg) return;
  bias_keeper_.emplace(declare_keeper(module / "kappa_bias_ema_rms_reg_keeper"));
  if (with_scale || gates.dense)
    scale_keeper_.emplace(declare_keeper(module / "kappa_scale_ema_rms_reg_keeper"));  // a dense layer's is never changed
}

Tensor KappaParameters::spread(const Parameter& parameter, const Tensor& experts, double factor) const {
  const Tensor& x = parameter.value;
  if (!experts) return expand(x, gates_.experts, gates_.units, factor);
  const int64_t count = experts.size(), width = x.size() / gates_.experts;
  if (width == 0) return expand(x, count, gates_.units, factor);  // one for all experts
  return expand(embedding(x.reshape({gates_.experts, width}), experts.reshape({1, count})), count, gates_.units, factor);
}

Tensor KappaParameters::bias(const Tensor& experts) const {
  return spread(*bias_, experts, scale_ ? 1.0 : config_.kappa_input_constant);
}

Tensor KappaParameters::scale(const Tensor& experts) const { return spread(*scale_, experts, 1.0); }

void KappaParameters::advance_keepers(const Pass& pass) const {
  if (!bias_keeper_) return;
  const auto anchor = [&](double fraction) {
    return std::clamp<int64_t>(int64_t(std::ceil(fraction * double(pass.total_steps))), 0, pass.total_steps);
  };
  const KeeperStep step{.beta = config_.kappa_l2_ema_beta,
                        .collecting = anchor(config_.kappa_l2_ema_anchor_start) <= pass.step &&
                                      pass.step <= anchor(config_.kappa_l2_ema_anchor_end)};
  advance(bias_keeper_->tensors(), bias_->value, step, bias_->spec.name);
  if (scale_) advance(scale_keeper_->tensors(), scale_->value, step, scale_->spec.name);
}

void KappaParameters::add_losses(KappaLosses& losses) const {
  losses.bias_l2.push_back(mean_square(bias_->value));
  if (scale_) losses.scale_l2.push_back(mean_square(scale_->value));
  if (!bias_keeper_) return;
  losses.bias_floor.push_back(rms_floor(bias_->value, bias_keeper_->tensors(), config_.kappa_l2_ema_floor_frac));
  if (scale_) losses.scale_floor.push_back(rms_floor(scale_->value, scale_keeper_->tensors(), config_.kappa_l2_ema_floor_frac));
}

}  // namespace kappa
