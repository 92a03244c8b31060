#include "train/routing_statistics.h"

#include "tests/support/catch.h"

using namespace kappa;

namespace {

ModelConfig four_experts() {
  ModelConfig config;
  config.n_layer = 3;
  config.n_exp = 4;
  config.moe_top_k = 2;
  config.min_capacity = 2;
  return config;  // 4 tokens: 2 slots an expert
}

void see(RoutingStatistics& statistics, int64_t layer, const std::vector<int32_t>& experts, const std::vector<int32_t>& ranks) {
  const Shape shape{int64_t(experts.size()) / 2, 2};
  statistics.see({0, layer}, "router_logits", Tensor::integers(experts, shape));  // of no interest
  statistics.see({0, layer}, "top_k_indices", Tensor::integers(experts, shape));
  statistics.see({0, layer}, "rank", Tensor::integers(ranks, shape));
}

}  // namespace

TEST_CASE("routing statistics: drops by rank of the choice, and how full the experts are") {
  const ModelConfig config = four_experts();
  RoutingStatistics statistics(config);
  // First choices 0 0 0 1, second choices 1 1 2 2; ranks count first choices before second ones.
  see(statistics, 1, {0, 1, 0, 1, 0, 2, 1, 2}, {0, 1, 1, 2, 2, 0, 0, 1});
  see(statistics, 2, {0, 1, 1, 2, 2, 3, 3, 0}, {0, 1, 0, 1, 0, 1, 0, 1});  // all in their slots
  nlohmann::ordered_json line;
  statistics.report(line);
  CHECK(line.at("inspect/drop_rate_0_step_1") == 0.25);
  CHECK(line.at("inspect/drop_rate_1_step_1") == 0.25);
  CHECK(line.at("inspect/drop_rate_0_step_2") == 0);
  CHECK(line.at("inspect/drop_rate_0_step") == 0.125);
  CHECK(line.at("inspect/drop_rate_1_step") == 0.125);
  CHECK(line.at("inspect/expert_utility_min_1") == 0);      // expert 3
  CHECK(line.at("inspect/expert_utility_mean_1") == 0.75);  // 2, 2, 2 and 0 of 2
  CHECK(line.at("inspect/expert_utility_min_2") == 1);
  CHECK_FALSE(line.contains("inspect/drop_rate_0_step_0"));  // a dense layer
}

TEST_CASE("routing statistics: micro-batches add up") {
  const ModelConfig config = four_experts();
  RoutingStatistics statistics(config);
  see(statistics, 1, {0, 1, 0, 1, 0, 2, 1, 2}, {0, 1, 1, 2, 2, 0, 0, 1});
  see(statistics, 1, {0, 1, 1, 2, 2, 3, 3, 0}, {0, 1, 0, 1, 0, 1, 0, 1});
  nlohmann::ordered_json line;
  statistics.report(line);
  CHECK(line.at("inspect/drop_rate_0_step_1") == 0.125);
  CHECK(line.at("inspect/expert_utility_min_1") == 0.5);
}

TEST_CASE("routing statistics: collapsed experts are named, balanced ones are not") {
  const ModelConfig config = four_experts();
  RoutingStatistics balanced(config), collapsed(config), crowded(config);
  CHECK_FALSE(balanced.warning());
  see(balanced, 1, {0, 1, 1, 2, 2, 3, 3, 0}, {0, 1, 0, 1, 0, 1, 0, 1});
  CHECK_FALSE(balanced.warning());
  see(collapsed, 2, {0, 1, 1, 2, 2, 0, 0, 1}, {0, 1, 0, 1, 0, 2, 1, 2});
  REQUIRE(collapsed.warning());
  CHECK_THAT(*collapsed.warning(), contains("layer 2") && contains("1 of 4 experts") && contains("expert 3: 0 of 8"));
  see(crowded, 1, {0, 1, 0, 2, 0, 3, 0, 1, 0, 2, 0, 3, 0, 1, 0, 2}, {0, 0, 1, 0, 2, 0, 3, 1, 4, 1, 5, 1, 6, 2, 7, 2});
  CHECK_FALSE(crowded.warning());  // 8 tokens: 4 slots; half are dropped, not more
}
