#pragma once
// One transformer block: x + attention(norm(x)), then x + feed-forward(norm(x)).

#include <variant>

#include "model/attention.h"
#include "model/mlp.h"
#include "model/moe.h"

namespace kappa {

/// What all blocks of a pass share.
struct Shared {
  DType compute = DType::f32;  // what layers compute in; the residual stream is wide
  RotaryTables rotary_tables;
  Tensor dense_slope_max, moe_slope_max;  // [1] wide: U
};

class Block {
 public:
  Block(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global);

  /// x [B, T, C] wide, already mixed with the embedding, and so is y; value_embedding as in Attention.
  Moe::Output operator()(const Tensor& x, const Tensor& value_embedding, const Shared& shared, const Pass& pass, Place place,
                         Routing& routing) const;

  const Moe* moe() const { return std::get_if<Moe>(&feed_forward_); }
  const KappaParameters* kappa() const {
    return std::visit([](const auto& layer) { return layer.kappa(); }, feed_forward_);
  }

 private:
  Attention attention_;
  std::variant<Mlp, Moe> feed_forward_;
};

}  // namespace kappa
