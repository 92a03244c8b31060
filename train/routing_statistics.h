#pragma once
// How the experts of a step were used (spec: training §15.5): what share of the choices was dropped, how full their slots were.

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "model/config.h"
#include "model/pass.h"

namespace kappa {

class RoutingStatistics {
 public:
  explicit RoutingStatistics(const ModelConfig& config);

  /// A Trace's part: sees the choices and ranks of every MoE layer, micro-batch and pass of a loop, and adds them up.
  void see(Place place, std::string_view what, const Tensor& value);

  /// inspect/drop_rate_K_step (the mean over layers), inspect/drop_rate_K_step_L, inspect/expert_utility_{min,mean}_L: the share
  /// of choices of rank K of layer L that found no slot, and the share of an expert's slots that were used.
  void report(nlohmann::ordered_json& line) const;

  /// What a person should know: a layer where an expert got less than a hundredth of its share, or where more than half of the
  /// first choices were dropped; nothing if all is well.
  std::optional<std::string> warning() const;

 private:
  struct Layer {
    std::vector<int64_t> dropped;      // [K] choices of each rank
    std::vector<int64_t> chosen;       // [E]
    std::vector<int64_t> used;         // [E] slots
    int64_t tokens = 0, capacity = 0;  // summed over what was seen
    Tensor experts;                    // [N, K] of the pass that is being seen
    double utility(size_t expert) const { return double(used[expert]) / double(capacity); }
  };
  const ModelConfig& config_;
  std::vector<Layer> layers_;  // [L]
};

}  // namespace kappa
