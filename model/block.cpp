#include "model/block.h"

#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/rms_norm/rms_norm.h"

namespace kappa {

static std::variant<Mlp, Moe> feed_forward(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global) {
  if (config.is_moe(layer)) return Moe(scope, config, layer, global);
  return Mlp(scope, config, layer, global);
}

Block::Block(const Scope& scope, const ModelConfig& config, int64_t layer, GlobalKappa& global)
    : attention_(scope / "attn", config, layer), feed_forward_(feed_forward(scope / "mlp", config, layer, global)) {}

Moe::Output Block::operator()(const Tensor& x, const Tensor& value_embedding, const Shared& shared, const Pass& pass, Place place,
                              Routing& routing) const {
  const DType compute = shared.compute;
  const Tensor attended = attention_(rms_norm(x, compute), value_embedding, shared.rotary_tables, place, pass.cache);
  pass.show(place, "attn", attended);
  const Tensor middle = add(x, attended);
  Moe::Output out;
  if (const Moe* experts = moe())
    out = (*experts)(rms_norm(middle, compute), shared.moe_slope_max, pass, place, routing);
  else
    out.y = std::get<Mlp>(feed_forward_)(rms_norm(middle, compute), shared.dense_slope_max);
  pass.show(place, "mlp", out.y);
  out.y = add(middle, out.y);
  pass.show(place, "out", out.y);
  return out;
}

}  // namespace kappa
