#include "model/gpt.h"

#include <optional>

#include "engine/autograd/tape.h"
#include "engine/ops/cross_entropy/cross_entropy.h"
#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/embedding/embedding.h"
#include "engine/ops/rms_norm/rms_norm.h"
#include "engine/ops/scalars/scalars.h"
#include "engine/tensor/dispatch.h"
#include "model/init.h"

namespace kappa {
namespace {

void fill(const Tensor& x, double value) {
  dispatch_wide("fill", x, [&]<class W>(W, CpuQueue) { std::fill_n(x.data<W>(), x.size(), W(value)); });
}

std::deque<Block> make_blocks(const Scope& scope, const ModelConfig& config, GlobalKappa& global) {
  std::deque<Block> blocks;
  for (int64_t layer = 0; layer < config.n_layer; ++layer) blocks.emplace_back(scope / layer, config, layer, global);
  return blocks;
}

std::vector<const Parameter*> make_value_embeddings(const Scope& scope, const ModelConfig& config) {
  std::vector<const Parameter*> tables(size_t(config.n_layer), nullptr);
  for (int64_t layer = 0; layer < config.n_layer; ++layer)
    if (config.has_value_embedding(layer))
      tables[size_t(layer)] = &scope.store().declare({.name = (scope / layer).name("weight"),
                                                      .shape = {config.padded_vocab(), config.n_kv() * config.head_size()},
                                                      .init = matrix_init(config),
                                                      .role = Role::value_embedding});
  return tables;
}

}  // namespace

Gpt::Gpt(const ModelConfig& config)
    : config_(config),
      residual_lambdas_(store_.declare(
          {.name = "resid_lambdas", .shape = {config.n_layer}, .init = Init::ones(), .role = Role::resid_lambdas})),
      embedding_lambdas_(store_.declare({.name = "x0_lambdas", .shape = {config.n_layer}, .role = Role::x0_lambdas})),
      embedding_(store_.declare({.name = "transformer.wte.weight",
                                 .shape = {config.padded_vocab(), config.n_embd},
                                 .init = Init::normal(1),
                                 .role = Role::embedding})),
      blocks_(make_blocks(Scope(store_, "transformer.h"), config_, global_)),
      head_(store_.declare({.name = "lm_head.weight",
                            .shape = {config.padded_vocab(), config.n_embd},
                            .init = Init::normal(0.001),
                            .role = Role::lm_head})),
      value_embeddings_(make_value_embeddings(Scope(store_, "value_embeds"), config_)),
      moe_slope_max_(store_.declare_buffer({.name = "moe_kappa_slope_max_scale", .shape = {1}, .saved = false})),
      dense_slope_max_(store_.declare_buffer({.name = "dense_kappa_slope_max_scale", .shape = {1}, .saved = false})) {}

Gpt::Gpt(const ModelConfig& config, DType compute, Narrow narrow) : Gpt(config) {
  store_.allocate(compute, narrow);
  shared_ = {
      .compute = compute, .rotary_tables = {}, .dense_slope_max = dense_slope_max_.value, .moe_slope_max = moe_slope_max_.value};
  set_slope_max(config.moe_kappa_slope_max_scale, config.dense_kappa_slope_max_scale);
}

void Gpt::initialize(uint64_t seed, bool zero_routers) {
  if (zero_routers)
    for (Parameter& p : store_.parameters())
      if (p.spec.name.ends_with(".router.w_g.weight")) p.spec.init = Init{};
  store_.initialize(seed);
}

void Gpt::set_slope_max(double moe, double dense) {
  fill(moe_slope_max_.value, moe);
  fill(dense_slope_max_.value, dense);
}

Moe::Output Gpt::run_block(Place place, const Tensor& x, const Tensor& x0, const Tensor& inputs, const Pass& pass) {
  const Block& block = blocks_[size_t(place.layer)];
  const Parameter* const table = value_embeddings_[size_t(place.layer)];
  // Where the block is computed again on the way back, it routes as it did the first time, and is not traced twice.
  const auto compute = [this, &block, table, place, inputs, own = pass, routing = Routing()](const Tensors& in) mutable {
    const Tensor mixed =
        mix(in[0], in[1], residual_lambdas_.value.slice(place.layer, 1), embedding_lambdas_.value.slice(place.layer, 1));
    const Tensor value_embedding = table ? embedding(table->value, inputs) : Tensor();
    const Moe::Output out = block(mixed, value_embedding, shared_, own, place, routing);
    own.trace = {};
    return Tensors{out.y, out.aux, out.router_z};
  };
  const Tensors out = config_.activation_checkpointing ? recompute(compute, {x, x0}) : std::function(compute)({x, x0});
  return {.y = out[0], .aux = out[1], .router_z = out[2]};
}

void Gpt::check_inputs(const Tensor& inputs, const Pass& pass) const {
  require(inputs.shape().rank() == 2 && inputs.dtype() == DType::i32,
          "the model's inputs must be int32 [rows, tokens], found {} {}", name_of(inputs.dtype()), inputs.shape());
  const int64_t earlier = pass.cache ? pass.cache->length() : 0, length = earlier + inputs.dim(1);
  if (pass.training)
    require(length <= config_.sequence_len, "rows of {} tokens are longer than model.sequence_len {}", length,
            config_.sequence_len);
  require(length <= config_.longest_row(), "rows of {} tokens are longer than ten times model.sequence_len {}", length,
          config_.sequence_len);
  const int32_t* const ids = inputs.data<int32_t>();
  for (int64_t i = 0; i < inputs.size(); ++i)
    require(ids[i] >= 0 && ids[i] < config_.vocab_size, "token id {} at row {}, position {} is not in 0 … {}", ids[i],
            i / inputs.dim(1), i % inputs.dim(1), config_.vocab_size - 1);
}

/// Makes the rotary tables long enough. Only as long as rows are: a model may be made for far longer ones.
void Gpt::reach(int64_t positions) {
  const int64_t known = shared_.rotary_tables.cos ? shared_.rotary_tables.cos.dim(0) : 0;
  if (positions <= known) return;
  shared_.rotary_tables = rotary_tables(std::min(std::max(positions, 2 * known), config_.longest_row()), config_.head_size(),
                                        shared_.compute, Device::cpu);
}

Gpt::Stack Gpt::run(const Tensor& inputs, const Pass& pass) {
  check_inputs(inputs, pass);
  reach((pass.cache ? pass.cache->length() : 0) + inputs.dim(1));
  Stack stack;
  const Tensor x0 = rms_norm(embedding(embedding_.value, inputs), wide(shared_.compute));
  Tensor x = x0;
  for (int64_t loop = 0; loop < config_.total_ut_steps; ++loop) {
    if (loop > 0 && config_.ut_detach) x = x.detach();
    for (int64_t layer = 0; layer < config_.n_layer; ++layer) {
      const Moe::Output out = run_block({loop, layer, config_.total_ut_steps > 1}, x, x0, inputs, pass);
      x = out.y;
      if (out.aux) stack.aux.push_back(out.aux);
      if (out.router_z) stack.router_z.push_back(out.router_z);
    }
    const bool last = loop + 1 == config_.total_ut_steps;
    if (config_.ut_everypass_ntp || last) stack.hidden.push_back(rms_norm(x, shared_.compute));
    if (!last) x = rms_norm(x);
  }
  if (pass.cache) pass.cache->advance(inputs.dim(1));
  return stack;
}

Tensor Gpt::next_token_losses(const Tensor& hidden, const Tensor& targets) const {
  return softcapped_cross_entropy({.hidden = hidden.reshape({targets.size(), config_.n_embd}),
                                   .weight = head_.value,
                                   .targets = targets.reshape({targets.size()}),
                                   .vocabulary = config_.vocab_size,
                                   .chunk_tokens = config_.loss_chunk(),
                                   .recompute = config_.loss_recompute_backward});
}

/// weight·Σ terms, or none of none.
Tensor Gpt::weigh(const Tensors& terms, double weight) const {
  if (terms.empty()) return {};
  const Tensor weights = Tensor::empty({int64_t(terms.size())}, terms[0].dtype(), terms[0].device());
  fill(weights, weight);
  return weighted_sum(terms, weights);
}

void Gpt::advance_keepers(const Pass& pass) {
  for (const Block& block : blocks_)
    if (const KappaParameters* kappa = block.kappa()) kappa->advance_keepers(pass);
}

LossTerms Gpt::losses(const Tensor& inputs, const Tensor& targets, const Pass& pass) {
  expect("gpt", "targets", targets, inputs.shape(), DType::i32, inputs.device());
  std::optional<Tape::Pause> unrecorded;
  if (!pass.training) unrecorded.emplace();
  advance_keepers(pass);
  const Stack stack = run(inputs, pass);
  Tensors means;
  for (const Tensor& hidden : stack.hidden)
    means.push_back(masked_mean(next_token_losses(hidden, targets), targets.reshape({targets.size()})));
  LossTerms terms{.ntp = weigh(means, 1.0 / double(means.size()))};
  if (!pass.training) return terms;

  const double share = 1.0 / double(config_.total_ut_steps);
  terms.aux = weigh(stack.aux, share);
  terms.router_z = weigh(stack.router_z, share);
  KappaLosses kappa_losses;
  for (const Block& block : blocks_)
    if (const KappaParameters* kappa = block.kappa()) kappa->add_losses(kappa_losses);
  terms.kappa_bias_l2 = weigh(kappa_losses.bias_l2, 1);
  terms.kappa_scale_l2 = weigh(kappa_losses.scale_l2, 1);
  terms.kappa_bias_floor = weigh(kappa_losses.bias_floor, 1);
  terms.kappa_scale_floor = weigh(kappa_losses.scale_floor, 1);
  return terms;
}

Tensor Gpt::token_losses(const Tensor& inputs, const Tensor& targets, const Pass& pass) {
  const Tape::Pause pause;
  const Stack stack = run(inputs, pass);
  const Tensor mean = Tensor::zeros({targets.size()}, wide(store_.compute_dtype()), inputs.device());
  for (const Tensor& hidden : stack.hidden) {
    const Tensor losses = next_token_losses(hidden, targets);
    dispatch_wide("token_losses", mean, [&]<class W>(W, CpuQueue) {
      for (int64_t i = 0; i < mean.size(); ++i) mean.data<W>()[i] += losses.data<W>()[i] / W(stack.hidden.size());
    });
  }
  return mean;
}

Tensor Gpt::logits(const Tensor& inputs, const Pass& pass) {
  const Tape::Pause pause;
  const Tensor hidden = run(inputs, pass).hidden.back();
  return softcapped_logits(hidden.reshape({inputs.size(), config_.n_embd}), head_.value, config_.vocab_size)
      .reshape({inputs.dim(0), inputs.dim(1), config_.vocab_size});
}

Tensor Gpt::next_logits(const Tensor& inputs, const Pass& pass) {
  const Tape::Pause pause;
  const Tensor hidden = run(inputs, pass).hidden.back();
  const int64_t rows = inputs.dim(0), length = inputs.dim(1);
  std::vector<int32_t> last(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) last[size_t(row)] = int32_t((row + 1) * length - 1);
  const Tensor chosen = embedding(hidden.reshape({rows * length, config_.n_embd}), Tensor::integers(last, {1, rows}));
  return softcapped_logits(chosen.reshape({rows, config_.n_embd}), head_.value, config_.vocab_size);
}

}  // namespace kappa
