// What the keys of `model` mean, which values they take, and which of them go together.

#include "engine/ops/value_gate/channels.h"
#include "model/config.h"

namespace kappa {

void describe(Schema::Section s, ModelConfig& c) {
  s.key("depth", c.depth, "computes n_layer, n_head, n_kv_head, n_embd, which are then not given", between(1, 10000));
  s.key("aspect_ratio", c.aspect_ratio, "with depth: n_embd = depth times this, up to a multiple of head_dim", between(1, 1e6));
  s.key("head_dim", c.head_dim, "with depth: the size of a head", between(2, 1e6));
  s.key("sequence_len", c.sequence_len, "tokens a row (T)", between(1, 0x1p30));
  s.key("vocab_size", c.vocab_size, "tokens that the tokenizer knows (V)", between(1, 0x1p30));
  s.key("n_layer", c.n_layer, "transformer blocks (L)", between(1, 10000));
  s.key("n_head", c.n_head, "query heads (H)", at_least(1));
  s.key("n_kv_head", c.n_kv_head, "key and value heads; auto: as many as query heads", at_least(1));
  s.key("n_embd", c.n_embd, "width of the residual stream (C)", at_least(1));
  s.key("window_pattern", c.window_pattern, "tiled over the layers: L sees sequence_len back, S half; the last layer is L");

  s.key("n_exp", c.n_exp, "experts a MoE layer (E); 0 or 1: no MoE layers", at_least(0));
  s.key("moe_top_k", c.moe_top_k, "experts that a token goes to (K)", at_least(1));
  s.key("moe_start_layer", c.moe_start_layer, "the first layer that may be a MoE layer", at_least(0));
  s.key("moe_layer_stride", c.moe_layer_stride, "from moe_start_layer on, layer i is a MoE layer if this divides i + 1",
        at_least(1));
  s.key("num_moe_layers", c.num_moe_layers, "only the first so many MoE layers; -1: all", at_least(-1));
  s.key("train_capacity", c.train_capacity, "slots of an expert in training: this times K * tokens / E",
        Interval{.low = 0, .high = 1e6, .above_low = true});
  s.key("eval_capacity", c.eval_capacity, "slots of an expert in evaluation, likewise",
        Interval{.low = 0, .high = 1e6, .above_low = true});
  s.key("min_capacity", c.min_capacity, "an expert's slots are never fewer", between(1, 0x1p30));
  s.key("dense_mlp", c.dense_mlp, "MLP of layers that are no MoE layers");
  s.key("expert_mlp", c.expert_mlp, "experts without kappa: g * sigmoid(g) * u, or g * u");
  s.key("load_balancing", c.load_balancing, "how tokens are spread: by a loss, by a bias that follows counts");
  s.key("aux_free_bias_update_speed", c.aux_free_bias_update_speed, "step of the bias that follows counts", at_least(0));
  s.key("use_noisy_top_k", c.use_noisy_top_k, "learned noise on the router logits, in training");
  s.key("use_router_z_loss", c.use_router_z_loss, "keep the router logits small by a loss on their log-sum-exp");
  s.key("router_z_loss_input_grad_scale", c.router_z_loss_input_grad_scale,
        "factor on the z-loss's gradient into the router's input", at_least(0));
  s.key("z_loss_demean_logits", c.z_loss_demean_logits, "z-loss: take the log-sum-exp of the logits less their mean");
  s.key("z_loss_penalize_mean_logits", c.z_loss_penalize_mean_logits, "z-loss: add the square of the mean");

  s.key("use_kappa_swiglu", c.use_kappa_swiglu, "g * sigmoid(kappa * g) * u, kappa = U^tanh(bias + scale * confidence)");
  s.key("kappa_input", c.kappa_input, "the confidence of a token in its expert");
  s.key("kappa_input_constant", c.kappa_input_constant, "the confidence where it is constant");
  s.key("kappa_input_logit_norm_exponent", c.kappa_input_logit_norm_exponent,
        "top_logits: power of the router's norms in the divisor; <= 0: 0.3 * logit");
  s.key("kappa_granularity", c.kappa_granularity, "what has a bias and scale of its own");
  s.key("kappa_start_layer", c.kappa_start_layer, "no kappa below; auto: 0 with constant_kappa_dense_layers, else 2",
        at_least(0));
  s.key("constant_kappa_dense_layers", c.constant_kappa_dense_layers,
        "kappa in dense swiglu layers too, with a constant confidence");
  s.key("moe_kappa_slope_max_scale", c.moe_kappa_slope_max_scale, "U of MoE layers", between(1, 1e6));
  s.key("dense_kappa_slope_max_scale", c.dense_kappa_slope_max_scale, "U of dense layers", between(1, 1e6));
  s.key("router_confidence_grad_scale", c.router_confidence_grad_scale, "factor on kappa's gradient into the router",
        at_least(0));
  s.key("kappa_ema_rms_reg", c.kappa_ema_rms_reg, "keep the RMS of bias and scale above a floor from its moving average");
  s.key("kappa_l2_ema_beta", c.kappa_l2_ema_beta, "decay of the moving average", half_open(0, 1));
  s.key("kappa_l2_ema_anchor_start", c.kappa_l2_ema_anchor_start, "fraction of the run from which the floor is taken",
        between(0, 1));
  s.key("kappa_l2_ema_anchor_end", c.kappa_l2_ema_anchor_end, "fraction of the run at which the floor is frozen", between(0, 1));
  s.key("kappa_l2_ema_floor_frac", c.kappa_l2_ema_floor_frac, "the floor as a fraction of the moving average", at_least(0));

  s.key("total_ut_steps", c.total_ut_steps, "passes through the stack of layers", between(1, 10000));
  s.key("ut_everypass_ntp", c.ut_everypass_ntp, "with several passes: the loss is their mean; false: the last pass's");
  s.key("ut_detach", c.ut_detach, "with several passes: no gradient from one to the one before");
  s.key("loss_chunk_tokens", c.loss_chunk_tokens, "tokens whose logits are in memory at once; auto: 2^24 / V",
        between(1, 0x1p40));
  s.key("loss_recompute_backward", c.loss_recompute_backward,
        "keep the logits of one chunk alone, and compute the others again on the way back");
  s.key("activation_checkpointing", c.activation_checkpointing,
        "compute every block again on the way back: less memory, more time");
}

/// All parameters, in floating point, so that nothing overflows.
static double parameter_count(const ModelConfig& c) {
  const double width = double(c.n_embd), layers = double(c.n_layer), moe = double(c.moe_layers());
  const double embeddings = double(c.padded_vocab()) * width * (2 + layers / 2);
  const double matrices = 12 * width * width;  // of one MLP
  return embeddings + layers * 4 * width * width + (layers - moe) * matrices + moe * double(c.n_exp) * matrices;
}

static void resolve_depth(ModelConfig& c, const Schema& schema) {
  for (const char* key : {"model.n_layer", "model.n_head", "model.n_kv_head", "model.n_embd"})
    schema.require(!schema.given("model.depth") || !schema.given(key), {"model.depth", key},
                   "depth computes n_layer, n_head, n_kv_head and n_embd, which must then not be given");
  schema.require(c.head_dim % 2 == 0, {"model.depth", "model.head_dim"}, "the rotary embedding needs an even size of a head");
  c.set_depth(*c.depth);
  schema.require(c.n_embd >= value_gate_channels, {"model.depth", "model.aspect_ratio", "model.head_dim"},
                 "they give n_embd = {}, but the gate of the value embeddings reads {} channels", c.n_embd, value_gate_channels);
  c.depth.reset();
}

void resolve(ModelConfig& c, const Schema& schema) {
  if (c.depth) resolve_depth(c, schema);
  c.n_kv_head = c.n_kv();
  c.kappa_start_layer = c.kappa_start_layer.value_or(c.constant_kappa_dense_layers ? 0 : 2);

  schema.require(c.n_embd % c.n_head == 0, {"model.n_embd", "model.n_head"}, "n_head must divide n_embd");
  schema.require(c.n_head % c.n_kv() == 0, {"model.n_head", "model.n_kv_head"}, "n_kv_head must divide n_head");
  schema.require(c.head_size() % 2 == 0, {"model.n_embd", "model.n_head"},
                 "the rotary embedding needs an even size of a head, found {}", c.head_size());
  schema.require(c.n_embd >= value_gate_channels, {"model.n_embd"},
                 "the gate of the value embeddings reads {} channels; expected at least as many", value_gate_channels);

  const bool letters = !c.window_pattern.empty() && c.window_pattern.find_first_not_of("LS") == std::string::npos;
  schema.require(letters, {"model.window_pattern"}, "expected letters L and S");
  schema.require(c.sequence_len >= 2 || c.window_pattern.find('S') == std::string::npos,
                 {"model.sequence_len", "model.window_pattern"}, "half a row must be at least one token");

  const bool too_many = parameter_count(c) > 0x1p40;
  schema.require(!too_many, {"model.n_embd", "model.n_layer", "model.n_exp", "model.vocab_size"},
                 "the model would have {:.3g} parameters, at most 2^40 are possible", parameter_count(c));

  bool moe = false, kappa_moe = false;
  for (int64_t layer = 0; layer < c.n_layer; ++layer) {
    moe |= c.is_moe(layer);
    kappa_moe |= c.is_moe(layer) && c.kappa_active(layer);
  }
  schema.require(!moe || c.moe_top_k <= c.n_exp, {"model.moe_top_k", "model.n_exp"},
                 "a token cannot go to more experts than there are");
  schema.require(!kappa_moe || c.expert_mlp != ExpertMlp::bilinear, {"model.expert_mlp", "model.use_kappa_swiglu"},
                 "bilinear experts have no gate that kappa could act on");
  schema.require(c.kappa_l2_ema_anchor_start <= c.kappa_l2_ema_anchor_end,
                 {"model.kappa_l2_ema_anchor_start", "model.kappa_l2_ema_anchor_end"}, "the start must not lie after the end");
  schema.require(!c.ut_detach || c.ut_everypass_ntp, {"model.ut_detach", "model.ut_everypass_ntp"},
                 "detached passes without a loss of their own would learn nothing");
}

}  // namespace kappa
