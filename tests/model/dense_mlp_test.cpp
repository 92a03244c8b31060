// What dense layers own, and that a ReLU² layer has nothing that κ could act on.

#include "model/gpt.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Layers 0 and 2 are dense, layer 1 is a MoE layer if there are experts.
ModelConfig small(DenseMlp dense_mlp, int64_t experts) {
  ModelConfig c;
  c.sequence_len = 12, c.vocab_size = 70;
  c.n_layer = 3, c.n_head = 2, c.n_embd = 32;
  c.n_exp = experts, c.moe_start_layer = 1, c.num_moe_layers = 1;
  c.dense_mlp = dense_mlp;
  return c;
}

ModelConfig with_kappa(ModelConfig c, KappaGranularity granularity) {
  c.use_kappa_swiglu = c.constant_kappa_dense_layers = c.kappa_ema_rms_reg = true;
  c.kappa_granularity = granularity;
  return c;
}

/// The names of all parameters and buffers that are saved.
std::vector<std::string> names_of(const ModelConfig& config) {
  const Gpt model(resolved(config), DType::f32);
  std::vector<std::string> names;
  for (const Parameter& p : model.store().parameters()) names.push_back(p.spec.name);
  for (const Buffer& b : model.store().buffers())
    if (b.spec.saved) names.push_back(b.spec.name);
  return names;
}

int count(const std::vector<std::string>& names, const std::string& part) {
  return int(std::ranges::count_if(names, [&](const std::string& name) { return name.find(part) != std::string::npos; }));
}

}  // namespace

TEST_CASE("dense layers: ReLU² owns two matrices and no κ, whatever is configured") {
  for (const auto granularity :
       {KappaGranularity::per_gate, KappaGranularity::per_expert, KappaGranularity::per_layer, KappaGranularity::global}) {
    INFO(kappa::names_of(granularity)[size_t(granularity)]);
    const auto swiglu = names_of(with_kappa(small(DenseMlp::swiglu, 4), granularity)),
               relu2 = names_of(with_kappa(small(DenseMlp::relu2, 4), granularity));
    for (const std::string layer : {"transformer.h.0.mlp.", "transformer.h.2.mlp."}) {
      CHECK(count(swiglu, layer + "kappa") >= 8);  // two keepers of four values, and the bias if it is not shared
      CHECK(count(relu2, layer + "kappa") == 0);
      CHECK(count(relu2, layer) == 2);
      CHECK(count(relu2, layer + "c_fc.weight") == 1);
      CHECK(count(relu2, layer + "c_proj.weight") == 1);
    }
    CHECK(count(relu2, "transformer.h.1.mlp.experts.kappa") == count(swiglu, "transformer.h.1.mlp.experts.kappa"));
    CHECK(count(relu2, "global_kappa") == (granularity == KappaGranularity::global ? 2 : 0));
    CHECK(names_of(with_kappa(small(DenseMlp::relu2, 0), granularity)) == names_of(small(DenseMlp::relu2, 0)));
  }
}

TEST_CASE("dense layers: a ReLU² model computes the same with κ configured") {
  const auto losses = [](const ModelConfig& config) {
    Gpt model(resolved(config), DType::f64);
    model.initialize(1);
    std::vector<int32_t> ids(24);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(7 * i % 70);
    const Tensor tokens = Tensor::integers(ids, {2, 12});
    const LossTerms terms = model.losses(tokens, tokens, {.step = 5, .total_steps = 10});
    CHECK_FALSE(bool(terms.kappa_bias_l2));
    CHECK_FALSE(bool(terms.kappa_bias_floor));
    return to_doubles(terms.ntp);
  };
  const ModelConfig plain = small(DenseMlp::relu2, 0);
  CHECK(losses(with_kappa(plain, KappaGranularity::per_gate)) == losses(plain));
}
