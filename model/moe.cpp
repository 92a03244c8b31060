#include "model/moe.h"

#include "engine/core/philox.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/kappa_swiglu/kappa_swiglu.h"
#include "engine/ops/matmul/matmul.h"
#include "engine/ops/moe_dispatch/moe_dispatch.h"
#include "engine/ops/router/router_gate.h"
#include "engine/ops/router/router_logits.h"
#include "engine/ops/router_losses/router_losses.h"
#include "engine/ops/swiglu/swiglu.h"
#include "engine/tensor/dispatch.h"
#include "model/init.h"

namespace kappa {

static const Parameter& expert_matrix(const Scope& scope, const char* name, Shape shape, Init init) {
  return scope.store().declare({.name = (scope / "experts").name(name), .shape = shape, .init = init, .in_moe_block = true});
}
static const Parameter& router_matrix(const Scope& scope, const char* name, const ModelConfig& config) {
  const Scope router = scope / "router" / name;
  return scope.store().declare(
      {.name = router.name("weight"), .shape = {config.n_exp, config.n_embd}, .init = router_init(config), .in_moe_block = true});
}
static std::optional<KappaParameters> expert_kappa(const Scope& scope, const ModelConfig& config, int64_t layer,
                                                   GlobalKappa& global) {
  if (!config.kappa_active(layer)) return std::nullopt;
  return KappaParameters(scope / "experts", config, {.experts = config.n_exp, .units = config.hidden_size(), .dense = false},
                         global);
}

static Confidence confidence_of(KappaInput input) {
  switch (input) {
    case KappaInput::top_logits:
      return Confidence::top_logits;
    case KappaInput::router_probs:
      return Confidence::router_probs;
    case KappaInput::constant:
      return Confidence::constant;
  }
  return Confidence::constant;
}

Moe::Moe(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global)
    : config_(config),
      router_(router_matrix(scope, "w_g", config)),
      router_noise_(config.use_noisy_top_k ? &router_matrix(scope, "w_noise", config) : nullptr),
      expert_bias_(scope.store().declare_buffer({(scope / "router").name("expert_bias"), {config.n_exp}})),
      gate_(expert_matrix(scope, "gate_proj", {config.n_exp, config.n_embd, config.hidden_size()}, matrix_init(config))),
      kappa_(expert_kappa(scope, config, layer, global)),
      up_(expert_matrix(scope, "c_fc", {config.n_exp, config.n_embd, config.hidden_size()}, matrix_init(config))),
      down_(expert_matrix(scope, "c_proj", {config.n_exp, config.hidden_size(), config.n_embd}, Init{})) {}

Moe::Output Moe::operator()(const Tensor& x, const Tensor& slope_max, const Pass& pass, Place place, Routing& routing) const {
  const int64_t tokens = x.shape().rows();
  const Tensor flat = x.reshape({tokens, config_.n_embd});
  RouterLogits logits = router_logits(flat, router_.value, config_.router_z_loss_input_grad_scale);
  if (router_noise_ && pass.training) logits = noisy(logits, flat, pass, place);

  const bool aux_free = config_.load_balancing == LoadBalancing::aux_free;
  if (!routing.expert) {
    const int64_t capacity = config_.slots(tokens, pass.training);
    const size_t index = size_t(place.loop * config_.n_layer + place.layer);
    if (index < pass.imposed_choices.size() && pass.imposed_choices[index])
      routing = impose_routing(pass.imposed_choices[index], config_.n_exp, capacity);
    else
      routing = route(logits.main, aux_free ? expert_bias_.value : Tensor(), config_.moe_top_k, capacity);
  }
  const bool normalised = config_.kappa_input == KappaInput::top_logits;
  const RouterGate gate =
      router_gate({.logits = logits.main,
                   .routing = routing,
                   .kind = confidence_of(config_.kappa_input),
                   .factors = normalised ? confidence_factors(router_.value, config_.kappa_input_logit_norm_exponent) : Tensor(),
                   .constant = config_.kappa_input_constant,
                   .confidence_grad_scale = config_.router_confidence_grad_scale});

  // In training the sizes never depend on the choices; elsewhere only experts with a token are computed.
  const UsedExperts used = pass.training ? UsedExperts{{}, routing} : used_experts(routing);
  const bool confident = kappa_ && kappa_->has_scale();
  const Tensor y = experts({.x = moe_dispatch(flat, used.routing),
                            .confidence = confident ? moe_dispatch_confidence(gate.confidence, used.routing) : Tensor(),
                            .experts = used.number},
                           slope_max);
  Output out{.y = moe_combine(y, gate.probability, used.routing).reshape(x.shape())};
  if (pass.training && config_.load_balancing == LoadBalancing::aux_loss) out.aux = load_balancing_loss(logits.main, routing);
  if (pass.training && config_.use_router_z_loss)
    out.router_z =
        router_z_loss(logits.z, {.demean = config_.z_loss_demean_logits, .penalize_mean = config_.z_loss_penalize_mean_logits});

  pass.show(place, "router_logits", logits.main);
  pass.show(place, "top_k_indices", routing.expert);
  pass.show(place, "rank", routing.rank);
  pass.show(place, "confidence", gate.confidence);
  if (pass.trace && aux_free && pass.training) pass.show(place, "expert_counts", expert_counts(routing));
  return out;
}

Tensor Moe::experts(const Slots& slots, const Tensor& slope_max) const {
  const auto product = [&](const Tensor& x, const Parameter& weight) {
    return slots.experts ? some_experts_matmul(x, weight.value, slots.experts) : expert_matmul(x, weight.value);
  };
  const Tensor g = product(slots.x, gate_), u = product(slots.x, up_);
  if (kappa_) {
    KappaSwigluInputs in{.gate = g, .up = u, .bias = kappa_->bias(slots.experts), .slope_max = slope_max};
    if (slots.confidence) in.confidence = slots.confidence, in.scale = kappa_->scale(slots.experts);
    return product(kappa_swiglu(in), down_);
  }
  return product(config_.expert_mlp == ExpertMlp::bilinear ? multiply(g, u) : swiglu(g, u), down_);
}

RouterLogits Moe::noisy(const RouterLogits& logits, const Tensor& x, const Pass& pass, Place place) const {
  const Tensor scale_logits = router_logits(x, router_noise_->value, 1).main;
  const Tensor normal = Tensor::empty(scale_logits.shape(), scale_logits.dtype(), scale_logits.device());
  const Random random(pass.seed, fmt::format("router noise {} {} {}", place.layer, place.loop, pass.micro_step),
                      uint64_t(pass.step));
  dispatch_wide("router noise", normal, [&]<class W>(W, CpuQueue) {
    parallel_ranges(normal.size(), 4096, [&](Range r) {
      for (int64_t i = r.begin; i < r.end; ++i) normal.data<W>()[i] = random.normal<W>(i);
    });
  });
  return add_router_noise(logits, scale_logits, normal);
}

}  // namespace kappa
