// The sizes of runs against the specification's tables (training §2.1, §2.3, §5.3, §5.4, vectors 40-60).

#include "train/sizes.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/paths.h"

using namespace kappa;

namespace {

const char* const baseline = "model: {depth: 8}";
const char* const headline =
    "model: {depth: 8, use_kappa_swiglu: true, constant_kappa_dense_layers: true, kappa_ema_rms_reg: true}";

RunConfig with(const std::string& yaml, const std::vector<std::string>& overrides) {
  return parse_run_config(yaml, "x.yaml", overrides);
}

}  // namespace

TEST_CASE("sizes: a model's dimensions follow from its depth") {
  struct Row {
    int64_t depth, channels, heads;
  };
  const auto row = GENERATE(Row{4, 384, 3}, Row{6, 640, 5}, Row{8, 768, 6}, Row{10, 1024, 8}, Row{12, 1152, 9}, Row{16, 1536, 12},
                            Row{20, 1920, 15}, Row{24, 2304, 18}, Row{28, 2688, 21});
  const ModelConfig config = with(fmt::format("model: {{depth: {}}}", row.depth), {}).model;
  CHECK(config.n_layer == row.depth);
  CHECK(config.n_embd == row.channels);
  CHECK(config.n_head == row.heads);
  CHECK(config.n_kv() == row.heads);
}

TEST_CASE("sizes: the parameters of depth 8") {
  const ParameterCounts n = count_parameters(with(headline, {}).model);
  CHECK(n.embedding == 25165824);
  CHECK(n.value_embeddings == 100663296);
  CHECK(n.lm_head == 25165824);
  CHECK(n.blocks == 2753601024);
  CHECK(n.scalars == 16);
  CHECK(n.total == 2904595984);
  CHECK(n.active == 269336080);
  CHECK(std::abs(n.adjusted - 539378598.2728798) < 1e-6);

  const ParameterCounts plain = count_parameters(with(baseline, {}).model);
  CHECK(plain.blocks == 2751235584);
  CHECK(plain.total == 2902230544);
}

TEST_CASE("sizes: FLOPs of a token") {
  struct Row {
    int64_t depth;
    double flops;
  };
  const auto row =
      GENERATE(Row{8, 16823596032}, Row{12, 62332381440}, Row{16, 154429009920}, Row{20, 309505870080}, Row{28, 874169839872});
  const ModelConfig config = with(headline, {fmt::format("model.depth={}", row.depth)}).model;
  const FlopsPerToken flops = flops_per_token(config, count_parameters(config));
  CHECK(flops.reference == row.flops);
  if (row.depth == 8) CHECK(flops.active == 1012036608);
}

TEST_CASE("sizes: a looped model computes every parameter again, and a window shortens its scores") {
  const ModelConfig config = with(headline, {}).model;
  const double once = flops_per_token(config, count_parameters(config)).reference;
  const ModelConfig looped = with(headline, {"model.total_ut_steps=3"}).model;
  CHECK(flops_per_token(looped, count_parameters(looped)).reference == 3 * once);
  const ModelConfig narrow = with(headline, {"model.window_pattern=S"}).model;  // 7 of 8 layers see half
  CHECK(once - flops_per_token(narrow, count_parameters(narrow)).reference == 7 * 12.0 * 768 * 1024);
}

TEST_CASE("sizes: tokens, batch and steps") {
  struct Row {
    const char* name;
    const char* yaml;
    std::vector<std::string> set;
    int64_t ranks, batch, steps, micro_batches, last_rows;
  };
  const auto row = GENERATE(values<Row>({
      {"40: depth 8", headline, {}, 2, 1 << 18, 10287, 2, 32},
      {"41: depth 12", headline, {"model.depth=12"}, 2, 1 << 19, 18471, 4, 32},
      {"41: depth 16", headline, {"model.depth=16"}, 2, 1 << 19, 45257, 4, 32},
      {"41: depth 20", headline, {"model.depth=20"}, 2, 1 << 20, 45110, 8, 32},
      {"41: depth 28", headline, {"model.depth=28"}, 2, 1 << 20, 126772, 8, 32},
      {"42: depth 4", headline, {"model.depth=4"}, 2, 1 << 17, 2237, 1, 32},
      {"42: depth 6", headline, {"model.depth=6"}, 2, 1 << 18, 5025, 2, 32},
      {"42: depth 10", headline, {"model.depth=10"}, 2, 1 << 19, 11833, 4, 32},
      {"42: depth 24", headline, {"model.depth=24"}, 2, 1 << 20, 79038, 8, 32},
      {"43: depth 8, baseline", baseline, {}, 2, 1 << 18, 10279, 2, 32},
      {"baseline, depth 12", baseline, {"model.depth=12"}, 2, 1 << 19, 18461, 4, 32},
      {"baseline, depth 16", baseline, {"model.depth=16"}, 2, 1 << 19, 45239, 4, 32},
      {"baseline, depth 20", baseline, {"model.depth=20"}, 2, 1 << 20, 45095, 8, 32},
      {"baseline, depth 28", baseline, {"model.depth=28"}, 2, 1 << 20, 126742, 8, 32},
      {"44: kappa from layer 2", headline, {"model.constant_kappa_dense_layers=false"}, 2, 1 << 18, 10287, 2, 32},
      {"June, depth 12", headline, {"model.depth=12", "model.kappa_start_layer=2"}, 2, 1 << 19, 18470, 4, 32},
      {"45: one rank", headline, {}, 1, 1 << 18, 10287, 4, 32},
      {"46: 24 rows", headline, {"train.device_batch_size=24"}, 2, 1 << 18, 10287, 3, 16},
      {"47: eight ranks", headline, {}, 8, 1 << 18, 10287, 1, 16},
      {"48: the cap of 64 micro-batches", headline, {"train.device_batch_size=1"}, 1, 1 << 17, 20575, 64, 1},
      {"50: 32 experts", headline, {"model.n_exp=32"}, 2, 1 << 18, 7598, 2, 32},
      {"50: 128 experts", headline, {"model.n_exp=128"}, 2, 1 << 18, 14092, 2, 32},
      {"51: no experts", headline, {"model.n_exp=1", "model.moe_top_k=1"}, 2, 0, 1920, 0, 0},
      {"52: top-1", headline, {"model.moe_top_k=1"}, 2, 1 << 18, 7601, 2, 32},
      {"53: ratio 10", headline, {"train.target_param_data_ratio=10"}, 2, 1 << 18, 20575, 2, 32},
      {"53: ratio 20", headline, {"train.target_param_data_ratio=20"}, 2, 1 << 18, 41151, 2, 32},
      {"54: two MoE layers of 12", headline, {"model.depth=12", "model.num_moe_layers=2"}, 2, 0, 21939, 0, 0},
      {"55: raw counting", headline, {"train.use_moe_adjusted_scaling_params=false"}, 2, 1 << 18, 53000, 2, 32},
      {"56: a budget of FLOPs", headline, {"train.target_flops=1e19"}, 2, 1 << 18, 2267, 2, 32},
      {"steps given", headline, {"train.target_flops=1e19", "train.num_iterations=7"}, 2, 1 << 18, 7, 2, 32},
      {"a batch given", headline, {"train.total_batch_size=204800"}, 1, 204800, 13168, 4, 4},
  }));
  INFO(row.name);
  const BatchPlan plan = plan_sizes(with(row.yaml, row.set), row.ranks).batches;
  CHECK(plan.steps == row.steps);
  if (row.batch == 0) return;  // of which the specification says nothing
  CHECK(plan.batch_tokens == row.batch);
  CHECK(plan.micro_batches == row.micro_batches);
  CHECK(plan.last_rows == row.last_rows);
}

TEST_CASE("sizes: what the automatic batch was rounded from") {
  struct Row {
    int64_t depth;
    double tokens, log2_batch;
  };
  const auto row = GENERATE(Row{8, 2696892991, 18.2936}, Row{12, 9684144919, 19.0000}, Row{16, 23728058773, 19.4952},
                            Row{20, 47301728282, 19.8764}, Row{28, 132930709178, 20.4473});
  const RunSizes sizes = plan_sizes(with(headline, {fmt::format("model.depth={}", row.depth)}), 2);
  CHECK(sizes.token_budget == row.tokens);
  CHECK(std::abs(sizes.log2_batch - row.log2_batch) <= 0.5e-4);
}

TEST_CASE("sizes: the last micro-batch's share is that of its rows") {
  const BatchPlan plan = plan_sizes(with(headline, {"train.device_batch_size=24"}), 2).batches;
  CHECK(std::abs(plan.share(0, 24) - 1 / (2 + 2.0 / 3)) < 1e-15);
  CHECK(std::abs(plan.share(2, 24) - 2.0 / 3 / (2 + 2.0 / 3)) < 1e-15);
}

TEST_CASE("sizes: what does not divide, and budgets of less than a step") {
  CHECK_THROWS_WITH(plan_sizes(with(headline, {}), 3),
                    contains("train.total_batch_size") && contains("2048 on 3 ranks") && contains("found 262144"));
  CHECK_THROWS_WITH(plan_sizes(with(headline, {"train.target_flops=1e9"})), contains("train.target_flops: 1000000000"));
  CHECK_THROWS_WITH(plan_sizes(with(headline, {"train.target_param_data_ratio=1e-9", "train.total_batch_size=2048"})),
                    contains("train.target_param_data_ratio: 1e-09"));
  CHECK_THROWS_WITH(plan_sizes(with(headline, {"train.target_param_data_ratio=-1", "train.num_iterations=5"})),
                    contains("train.total_batch_size: an automatic batch follows from train.target_param_data_ratio"));
}

TEST_CASE("sizes: what is to happen at a step must find one") {
  const auto plan = [&](const std::string& key) {
    return plan_sizes(with(headline, {"train.num_iterations=100", key})).batches.steps;
  };
  CHECK(plan("train.lr_schedule_restart_at_step=99") == 100);
  CHECK(plan("train.resume_from_step=100") == 100);
  CHECK(plan("checkpoint.milestones=[10, 100]") == 100);
  CHECK_THROWS_WITH(plan("train.lr_schedule_restart_at_step=100"),
                    "train.lr_schedule_restart_at_step: expected a step up to 99 of a run of 100, found 100");
  CHECK_THROWS_WITH(plan("train.resume_from_step=101"),
                    "train.resume_from_step: expected a step up to 100 of a run of 100, found 101");
  CHECK_THROWS_WITH(plan("checkpoint.milestones=[10, 101]"),
                    "checkpoint.milestones: expected a step up to 100 of a run of 100, found 101");
}

TEST_CASE("sizes: the configurations of the paper's runs have the paper's steps") {
  struct Row {
    int64_t depth, august, june, baseline;
  };
  const auto row = GENERATE(Row{8, 10287, 10287, 10279}, Row{12, 18471, 18470, 18461}, Row{16, 45257, 45257, 45239},
                            Row{20, 45110, 45110, 45095}, Row{28, 126772, 126772, 126742});
  const auto steps = [&](const std::string& name) {
    const RunConfig config = load_run_config(source_dir() / "configs" / fmt::format(fmt::runtime(name), row.depth));
    return plan_sizes(config, 2).batches.steps;
  };
  CHECK(steps("august/d{}-kappa.yaml") == row.august);
  CHECK(steps("august/d{}-swiglu.yaml") == row.baseline);
  CHECK(steps("june/d{}-kappa.yaml") == row.june);
  CHECK(steps("june/d{}-swiglu.yaml") == row.baseline);
}
