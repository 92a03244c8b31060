#include "train/bench.h"

#include <algorithm>

#include "tests/support/catch.h"

using namespace kappa;

TEST_CASE("bench: products by shape and ops by name tell the same FLOPs") {
  const RunConfig config = parse_run_config(
      "model: {n_layer: 2, n_embd: 64, n_head: 2, n_exp: 4, moe_start_layer: 1, sequence_len: 32, vocab_size: 256}\n"
      "train: {num_iterations: 10, device_batch_size: 2, total_batch_size: 64}\n",
      "x.yaml");
  const BenchReport report = bench(config, {.steps = 2, .warmup = 1});

  double by_shape = 0;
  for (const BenchProduct& p : report.products) {
    INFO(p.shape.m << " " << p.shape.n << " " << p.shape.k);
    CHECK(p.library > 0);
    CHECK(p.seconds > 0);
    if (p.phase != Phase::update) by_shape += p.calls * p.shape.flops();
  }
  for (const BenchRow& row : report.rows)
    if (row.op == "attention") by_shape += row.flops;  // whose products are the tiles of its blocks
  CHECK(by_shape == Approx(report.flops));

  // q, k, v and the projection of both layers, [64 tokens, 64 channels] each.
  const auto linear = std::ranges::find_if(report.products, [](const BenchProduct& p) {
    return p.phase == Phase::forward && p.shape == ProductShape{1, 64, 64, 64, false, true};
  });
  REQUIRE(linear != report.products.end());
  CHECK(linear->calls == 8);

  double share = 0;
  for (const BenchRow& row : report.rows) share += row.share;
  CHECK(share == Approx(1));
  CHECK(report.memory.activations > 0);
  CHECK(report.memory.resident > report.memory.parameters + report.memory.gradients + report.memory.optimizer);

  const auto json = to_json(report);
  CHECK(json.at("products").size() == report.products.size());
  CHECK(json.at("forward_backward").at("share_at_blas_speed") <= 1);
}
