#pragma once
// Small models, one for each option that a forward pass knows.

#include <vector>

#include "model/config.h"

namespace kappa::test {

struct ModelCase {
  const char* what;
  ModelConfig config;
};

inline std::vector<ModelCase> model_cases() {
  ModelConfig base;
  base.sequence_len = 12, base.vocab_size = 70;
  base.n_layer = 3, base.n_head = 2, base.n_embd = 32;  // layers 0 and 2 have value embeddings
  base.window_pattern = "SL";
  base.n_exp = 5, base.moe_start_layer = 1;
  const auto with = [&](const char* what, auto change) {
    ModelCase c{what, base};
    change(c.config);
    c.config = resolved(c.config);
    return c;
  };
  const auto with_kappa = [&](const char* what, KappaInput input, KappaGranularity granularity, double exponent = 0.5) {
    return with(what, [&](ModelConfig& c) {
      c.use_kappa_swiglu = c.constant_kappa_dense_layers = true;
      c.kappa_input = input, c.kappa_granularity = granularity, c.kappa_input_logit_norm_exponent = exponent;
      c.kappa_input_constant = 0.7;
    });
  };
  return {
      with("experts without a kappa", [](ModelConfig&) {}),
      with("no experts, four heads on two", [](ModelConfig& c) { c.n_exp = 0, c.n_head = 4, c.n_kv_head = 2; }),
      with("all heads on one", [](ModelConfig& c) { c.n_kv_head = 1, c.n_layer = 2, c.num_moe_layers = 1; }),
      with("squared ReLU, bilinear experts, noise in training",
           [](ModelConfig& c) { c.dense_mlp = DenseMlp::relu2, c.expert_mlp = ExpertMlp::bilinear, c.use_noisy_top_k = true; }),
      with("a bias that balances",
           [](ModelConfig& c) { c.load_balancing = LoadBalancing::aux_free, c.moe_top_k = 3, c.min_capacity = 2; }),
      with("one choice", [](ModelConfig& c) { c.moe_top_k = 1, c.moe_layer_stride = 2, c.window_pattern = "L"; }),
      with_kappa("kappa by the logits", KappaInput::top_logits, KappaGranularity::per_gate),
      with_kappa("kappa by the logits, not normalised, one for all layers", KappaInput::top_logits, KappaGranularity::global, 0),
      with_kappa("kappa by the probabilities, one an expert", KappaInput::router_probs, KappaGranularity::per_expert),
      with_kappa("kappa by a constant, one a layer", KappaInput::constant, KappaGranularity::per_layer),
      with("three passes of the stack",
           [](ModelConfig& c) { c.total_ut_steps = 3, c.ut_everypass_ntp = false, c.use_kappa_swiglu = true; }),
      with("two passes, computed again on the way back",
           [](ModelConfig& c) { c.total_ut_steps = 2, c.activation_checkpointing = true; }),
  };
}

}  // namespace kappa::test
