#pragma once
// The network's configuration: its keys and what follows from them. Each key is explained where it is described (config_keys.cpp)
// and in configs/reference.yaml; the defaults are those of the paper's code.

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/config/schema.h"

namespace kappa {

enum class DenseMlp : uint8_t { swiglu, relu2 };
enum class ExpertMlp : uint8_t { swiglu, bilinear };
enum class LoadBalancing : uint8_t { aux_loss, aux_free, none };
enum class KappaInput : uint8_t { top_logits, router_probs, constant };
enum class KappaGranularity : uint8_t { per_gate, per_expert, per_layer, global };

constexpr auto names_of(DenseMlp) { return std::array{"swiglu", "relu2"}; }
constexpr auto names_of(ExpertMlp) { return std::array{"swiglu", "bilinear"}; }
constexpr auto names_of(LoadBalancing) { return std::array{"aux_loss", "aux_free", "none"}; }
constexpr auto names_of(KappaInput) { return std::array{"top_logits", "router_probs", "constant"}; }
constexpr auto names_of(KappaGranularity) { return std::array{"per-gate", "per-expert", "per-layer", "global"}; }

struct ModelConfig {
  Auto<int64_t> depth;  // if given: the sizes follow from it (set_depth)
  int64_t aspect_ratio = 96, head_dim = 128;
  int64_t sequence_len = 2048;  // T
  int64_t vocab_size = 32768;   // V
  int64_t n_layer = 8;          // L
  int64_t n_head = 6;           // H
  Auto<int64_t> n_kv_head;      // Hkv; otherwise n_head
  int64_t n_embd = 768;         // C
  std::string window_pattern = "LLLL";

  int64_t n_exp = 64;     // E
  int64_t moe_top_k = 2;  // K
  int64_t moe_start_layer = 2, moe_layer_stride = 1, num_moe_layers = -1;
  double train_capacity = 1.0, eval_capacity = 3.0;
  int64_t min_capacity = 4;
  DenseMlp dense_mlp = DenseMlp::swiglu;
  ExpertMlp expert_mlp = ExpertMlp::swiglu;
  LoadBalancing load_balancing = LoadBalancing::aux_loss;
  double aux_free_bias_update_speed = 1e-3;
  bool use_noisy_top_k = false;
  bool use_router_z_loss = true;
  double router_z_loss_input_grad_scale = 0.1;
  bool z_loss_demean_logits = true, z_loss_penalize_mean_logits = true;

  bool use_kappa_swiglu = false;
  KappaInput kappa_input = KappaInput::top_logits;
  double kappa_input_constant = 1.0;
  double kappa_input_logit_norm_exponent = 0.5;
  KappaGranularity kappa_granularity = KappaGranularity::per_gate;
  Auto<int64_t> kappa_start_layer;  // otherwise 0 with constant_kappa_dense_layers, 2 without
  bool constant_kappa_dense_layers = false;
  double moe_kappa_slope_max_scale = 4.0, dense_kappa_slope_max_scale = 3.0;  // U
  double router_confidence_grad_scale = 0.1;
  bool kappa_ema_rms_reg = false;
  double kappa_l2_ema_beta = 0.99, kappa_l2_ema_anchor_start = 0.4, kappa_l2_ema_anchor_end = 0.5, kappa_l2_ema_floor_frac = 0.9;

  int64_t total_ut_steps = 1;
  bool ut_everypass_ntp = true, ut_detach = false;
  Auto<int64_t> loss_chunk_tokens;  // otherwise as many as make 2²⁴ logits
  bool loss_recompute_backward = true;
  bool activation_checkpointing = false;

  /// Sizes from the depth: L = depth, C = depth·aspect_ratio rounded up to a multiple of head_dim, H = Hkv = C / head_dim.
  void set_depth(int64_t layers);

  int64_t n_kv() const { return n_kv_head.value_or(n_head); }
  int64_t head_size() const { return n_embd / n_head; }                 // D
  int64_t hidden_size() const { return 4 * n_embd; }                    // F
  int64_t padded_vocab() const { return (vocab_size + 63) / 64 * 64; }  // Vp

  /// Layers count from 0.
  bool is_moe(int64_t layer) const;
  int64_t moe_layers() const;  // how many there are
  bool has_value_embedding(int64_t layer) const { return layer % 2 == (n_layer - 1) % 2; }
  /// How long a row may be outside of training: as far as the paper's code has rotary tables.
  int64_t longest_row() const { return 10 * sequence_len; }
  /// How many positions back a query of this layer sees; the last layer always sees sequence_len.
  int64_t window(int64_t layer) const;
  /// Whether this layer has a gate with a κ; a dense ReLU² layer has no gate, whatever is asked for.
  bool kappa_active(int64_t layer) const;

  /// Slots of an expert for a (micro-)batch of `tokens` tokens: ⌊K·factor·N / E⌋, made even upwards, at least min_capacity.
  int64_t capacity(int64_t tokens, bool training) const;
  /// Those that there is work for: a token goes to an expert once at most, so slots beyond `tokens` would always be empty.
  int64_t slots(int64_t tokens, bool training) const { return std::min(capacity(tokens, training), tokens); }
  /// Tokens whose logits are computed at once.
  int64_t loss_chunk() const { return loss_chunk_tokens.value_or(std::max<int64_t>(1, (int64_t{1} << 24) / vocab_size)); }
};

void describe(Schema::Section section, ModelConfig& config);

/// Fills in what was left to the program, then throws InputError for values that cannot go together. `schema` is bound to
/// `config` under the name "model"; the errors take keys, values and lines from it.
void resolve(ModelConfig& config, const Schema& schema);

/// The same for a configuration made in code.
ModelConfig resolved(ModelConfig config);

/// The section `model` of a configuration file, which may have others. Overrides are as for --set.
ModelConfig load_model_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

}  // namespace kappa
