#pragma once
// The κ-SwiGLU mixture-of-experts GPT (spec: model).
//
//     x = norm(wte[ids]);  x0 = x
//     for every layer i:   x = a_i·x + b_i·x0;  x = x + attention_i(norm(x));  x = x + feed_forward_i(norm(x))
//     logits = 15·tanh(lm_head(norm(x)) / 15)
//
// The residual stream x is wide (float32 where layers compute in bfloat16): roundings of the layers then do not add up in it, and
// the small gradients that are left after cancellation, those of a and b, stay meaningful.
//
// A looped model (total_ut_steps > 1) runs the stack several times, normalising after each; the weights are the same every time.

#include <deque>

#include "model/block.h"

namespace kappa {

/// What one forward pass costs, each [1] wide, summed over layers and averaged over the loop's passes; none where nothing adds to
/// it.
struct LossTerms {
  Tensor ntp;  // mean cross entropy of the next token
  Tensor aux, router_z;
  Tensor kappa_bias_l2, kappa_scale_l2, kappa_bias_floor, kappa_scale_floor;
};

class Gpt {
 public:
  /// Declares all parameters: enough to count them.
  explicit Gpt(const ModelConfig& config);
  /// Takes their memory too, zeroed, for computing in `compute`.
  Gpt(const ModelConfig& config, DType compute, Narrow narrow = Narrow::none);
  Gpt(const Gpt&) = delete;
  Gpt& operator=(const Gpt&) = delete;

  /// Draws first values; `zero_routers` leaves the routers at zero, as a fresh GPU happens to do for the reference.
  void initialize(uint64_t seed, bool zero_routers = false);

  /// U of MoE and of dense layers; the configured ones until set.
  void set_slope_max(double moe, double dense);

  /// inputs, targets [B, T] int32; a target of −1 is ignored. Advances the keepers. Outside of training only `ntp` is computed,
  /// and nothing is recorded. Throws InputError for ids out of range and for rows that are too long: T > sequence_len in
  /// training, T > longest_row() elsewhere, which holds for all passes.
  LossTerms losses(const Tensor& inputs, const Tensor& targets, const Pass& pass);

  /// The cross entropy of every token [B·T] wide, 0 where the target is −1; in looped models the mean of the passes that count.
  /// For evaluation: nothing is recorded, no keeper advances.
  Tensor token_losses(const Tensor& inputs, const Tensor& targets, const Pass& pass);

  /// Softcapped logits [B, T, V] wide of the last pass, not recorded.
  Tensor logits(const Tensor& inputs, const Pass& pass);
  /// Those that follow the last token of each row, [B, V] wide, not recorded. With a cache in `pass`, the inputs continue it.
  Tensor next_logits(const Tensor& inputs, const Pass& pass);

  const ModelConfig& config() const { return config_; }
  ParameterStore& store() { return store_; }
  const ParameterStore& store() const { return store_; }
  /// The blocks' layers, in order.
  const std::deque<Block>& blocks() const { return blocks_; }

 private:
  struct Stack {
    Tensors hidden;         // [B, T, C] normalised, of every pass whose loss counts
    Tensors aux, router_z;  // one for each MoE layer of each pass
  };
  Stack run(const Tensor& inputs, const Pass& pass);
  void check_inputs(const Tensor& inputs, const Pass& pass) const;
  void reach(int64_t positions);
  Moe::Output run_block(Place place, const Tensor& x, const Tensor& x0, const Tensor& inputs, const Pass& pass);
  Tensor next_token_losses(const Tensor& hidden, const Tensor& targets) const;
  Tensor weigh(const Tensors& terms, double weight) const;
  void advance_keepers(const Pass& pass);

  ModelConfig config_;
  ParameterStore store_;
  GlobalKappa global_;
  const Parameter &residual_lambdas_, &embedding_lambdas_, &embedding_;  // [L], [L], [Vp, C]
  std::deque<Block> blocks_;
  const Parameter& head_;                           // [Vp, C]
  std::vector<const Parameter*> value_embeddings_;  // [Vp, Hkv·D] by layer; null where there is none
  const Buffer &moe_slope_max_, &dense_slope_max_;  // [1]
  Shared shared_;
};

}  // namespace kappa
