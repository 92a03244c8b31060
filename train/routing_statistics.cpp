#include "train/routing_statistics.h"

#include <algorithm>
#include <numeric>

namespace kappa {

RoutingStatistics::RoutingStatistics(const ModelConfig& config) : config_(config), layers_(size_t(config.n_layer)) {
  for (Layer& layer : layers_) {
    layer.dropped.assign(size_t(config.moe_top_k), 0);
    layer.chosen.assign(size_t(config.n_exp), 0);
    layer.used.assign(size_t(config.n_exp), 0);
  }
}

void RoutingStatistics::see(Place place, std::string_view what, const Tensor& value) {
  Layer& layer = layers_[size_t(place.layer)];
  if (what == "top_k_indices") layer.experts = value;
  if (what != "rank") return;  // it follows the choices
  const int64_t tokens = value.dim(0), choices = value.dim(1), capacity = config_.capacity(tokens, true);
  const int32_t *const rank = value.data<int32_t>(), *const experts = layer.experts.data<int32_t>();
  for (int64_t i = 0; i < tokens * choices; ++i) {
    const auto expert = size_t(experts[i]);
    const bool kept = rank[i] < capacity;
    layer.chosen[expert] += 1;
    layer.used[expert] += kept;
    layer.dropped[size_t(i % choices)] += !kept;
  }
  layer.tokens += tokens;
  layer.capacity += capacity;
  layer.experts = {};
}

void RoutingStatistics::report(nlohmann::ordered_json& line) const {
  for (size_t k = 0; k < size_t(config_.moe_top_k); ++k) {
    double sum = 0;
    int64_t seen = 0;
    for (size_t l = 0; l < layers_.size(); ++l)
      if (layers_[l].tokens > 0) {
        const double rate = double(layers_[l].dropped[k]) / double(layers_[l].tokens);
        line[fmt::format("inspect/drop_rate_{}_step_{}", k, l)] = rate;
        sum += rate, ++seen;
      }
    if (seen > 0) line[fmt::format("inspect/drop_rate_{}_step", k)] = sum / double(seen);
  }
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    if (layer.tokens == 0) continue;
    double lowest = 1, sum = 0;
    for (size_t e = 0; e < layer.used.size(); ++e) lowest = std::min(lowest, layer.utility(e)), sum += layer.utility(e);
    line[fmt::format("inspect/expert_utility_min_{}", l)] = lowest;
    line[fmt::format("inspect/expert_utility_mean_{}", l)] = sum / double(layer.used.size());
  }
}

std::optional<std::string> RoutingStatistics::warning() const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    if (layer.tokens == 0) continue;
    const int64_t total = std::accumulate(layer.chosen.begin(), layer.chosen.end(), int64_t{0});
    const auto least = std::ranges::min_element(layer.chosen);
    const auto unused = std::ranges::count_if(layer.chosen, [&](int64_t count) { return 100 * count * config_.n_exp < total; });
    if (unused > 0)
      return fmt::format("layer {}: {} of {} experts get less than a hundredth of their share (expert {}: {} of {} choices)", l,
                         unused, layer.chosen.size(), least - layer.chosen.begin(), *least, total);
    if (2 * layer.dropped[0] > layer.tokens)
      return fmt::format("layer {}: {:.0f}% of the first choices are dropped; a few experts are chosen by most tokens", l,
                         100.0 * double(layer.dropped[0]) / double(layer.tokens));
  }
  return std::nullopt;
}

}  // namespace kappa
