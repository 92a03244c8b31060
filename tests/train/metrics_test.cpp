#include "train/metrics.h"

#include "tests/support/catch.h"

using namespace kappa;

TEST_CASE("metrics: the running mean of the loss (vector 38)") {
  const std::pair<double, double> known[] = {{10.4, 10.4}, {10.0, 10.189473684210526}, {9.0, 9.750553505535055}};
  double running = 0;
  int64_t losses = 0;
  for (const auto& [loss, shown] : known) {
    running = follow_loss(running, loss);
    CHECK(debiased_loss(running, ++losses) == Approx(shown).epsilon(1e-12));
  }
}

TEST_CASE("metrics: an interval's throughput (vector 36)") {
  const RunConfig config = parse_run_config("model: {depth: 8}\ntrain: {num_iterations: 100}", "x.yaml", {});
  RunSizes sizes = plan_sizes(config);
  sizes.batches.batch_tokens = 1000;
  const auto line = step_metrics(config, sizes, 20, {}, 9.5,
                                 {.interval_seconds = 2, .waiting_seconds = 0.5, .interval_steps = 4, .total_seconds = 30});
  CHECK(line["dt"] == 0.5);
  CHECK(line["dt_data"] == 0.125);
  CHECK(line["tok_per_sec"] == 2000);
  CHECK(line["tokens_seen"] == 20000);
  CHECK(line["total_training_flops"] == Approx(20000 * sizes.flops.active));
  CHECK(line["total_training_flops_reference"] == Approx(20000 * sizes.flops.reference));
  CHECK(line["total_training_time"] == 30);
  CHECK(line["train/loss_step"] == 9.5);
}
