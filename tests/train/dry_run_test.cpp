#include "train/dry_run.h"

#include <cmath>

#include "tests/support/catch.h"
#include "train/memory_plan.h"

using namespace kappa;

TEST_CASE("dry run: the sizes of depth 8 as the specification's table has them") {
  const RunConfig config = parse_run_config(
      "model: {depth: 8, use_kappa_swiglu: true, constant_kappa_dense_layers: true, kappa_ema_rms_reg: true}", "x.yaml");
  const auto run = dry_run(config, 1e12);
  CHECK(run.at("parameters").at("total") == 2904595984);
  CHECK(run.at("parameters").at("transformer_matrices") == 2753601024);
  CHECK(run.at("parameters").at("active") == 269336080);
  CHECK(run.at("total_batch_size") == 262144);
  CHECK(run.at("num_iterations") == 10287);
  CHECK(run.at("grad_accum_steps") == 4);
  CHECK(run.at("flops_reference") == 16823596032.0);
  CHECK(std::abs(run.at("total_flops_reference").get<double>() / 4.5367776347733e19 - 1) < 1e-13);
  CHECK(run.at("kappa_delay_start_iterations") == 515);
  CHECK(std::abs(run.at("lr_lm_head").get<double>() - 0.00282843) < 0.5e-8);
  CHECK(std::abs(run.at("lr_kappa").get<double>() - 0.21213203) < 0.5e-8);
  CHECK(std::abs(run.at("lr_matrix").get<double>() - 0.00707107) < 0.5e-8);
  CHECK(run.at("weight_decay").get<double>() == Approx(0.1125));
  // People are told the same.
  const std::string text = describe_dry_run(run);
  CHECK(run.at("time_at_least").at("total_seconds").get<double>() > run.at("total_flops").get<double>() / 1e12);
  for (const char* said : {"8 layers", "1000 GFLOP/s", "10287 steps", "2.905e+09", "1.012e+09", "1.682e+10"})
    CHECK_THAT(text, contains(said));
}

TEST_CASE("dry run: memory grows with what takes it") {
  const auto memory = [](const std::string& yaml) { return plan_memory(parse_run_config(yaml, "x.yaml")); };
  const MemoryPlan plain = memory("train: {num_iterations: 1}");
  CHECK(memory("train: {num_iterations: 1, device_batch_size: 64}").activations > 1.9 * plain.activations);
  CHECK(memory("model: {activation_checkpointing: true}\ntrain: {num_iterations: 1}").activations < 0.5 * plain.activations);
  CHECK(memory("model: {loss_recompute_backward: false}\ntrain: {num_iterations: 1}").activations > plain.activations);
  CHECK(memory("train: {num_iterations: 1, precision: mixed}").activations < 0.7 * plain.activations);
  CHECK(memory("train: {num_iterations: 1, matrix_optimizer: muon}").optimizer > plain.optimizer);
}

TEST_CASE("dry run: a run that needs clearly more memory than there is is refused, with what makes it smaller") {
  const RunConfig config = parse_run_config("train: {num_iterations: 1}", "x.yaml");
  const MemoryPlan plan = plan_memory(config);
  const double total = plan.total();
  CHECK_NOTHROW(check_memory(plan, int64_t(total), smaller_training));
  CHECK_NOTHROW(check_memory(plan, int64_t(total / 1.24), smaller_training));
  CHECK_NOTHROW(check_memory(plan, 0, smaller_training));  // not known
  std::string why;
  try {
    check_memory(plan, int64_t(total / 1.26), smaller_training);
  } catch (const InputError& error) {
    why = error.what();
  }
  for (const std::string& word : {bytes_text(total), bytes_text(total / 1.26), std::string("train.device_batch_size")})
    CHECK_THAT(why, contains(word));
  CHECK(bytes_text(1 << 29) == "512 MiB");
}

TEST_CASE("dry run: time is the FLOPs of the products over the machine's rate") {
  const auto time = [](const std::string& yaml, double rate = 1e9) { return plan_time(parse_run_config(yaml, "x.yaml"), rate); };
  const std::string sizes = "model: {n_layer: 2, n_embd: 128, n_head: 1, n_exp: 0, sequence_len: 64, vocab_size: 256}\n";
  const RunConfig config =
      parse_run_config(sizes + "train: {num_iterations: 3, device_batch_size: 2, total_batch_size: 128}", "x.yaml");
  const TimePlan plan = plan_time(config, 1e9);
  CHECK(plan.forward_backward == Approx(plan_sizes(config).flops.active * 3 * 128 / 1e9));
  CHECK(plan_time(config, 2e9).total() == Approx(plan.total() / 2));
  // Of each layer: four squares in the direct form, five times X·Xᵀ and A² by halves and p(A)·X; three matrices of 512 lines of
  // 128 twice in Gram space, A and 17 products by halves and P·X; of the second layer the value gate too, whose side is short.
  const double square = 128.0 * 128 * 128, direct = 5 * 2 * square, gram = 4 * square / 2 + 17 * square / 2 + 4 * square;
  const double layer = 2 * (4 * direct + 3 * 2 * gram);
  CHECK(plan.optimizer * 1e9 / 3 == Approx(2 * layer).epsilon(0.002));
  const auto muon =
      time(sizes + "train: {num_iterations: 3, device_batch_size: 2, total_batch_size: 128, matrix_optimizer: muon}");
  CHECK(muon.optimizer * 1e9 / 3 ==
        Approx(2 * 2 * (4 * direct + 3 * 5 * (4 * square / 2 + square / 2 + 4 * square))).epsilon(0.002));
}
