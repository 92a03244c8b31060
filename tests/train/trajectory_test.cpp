// Whole trainings against recorded ones of another implementation: every loss, gradient norm and schedule of every step, the
// parameters after the first and after the last.

#include "train/trajectory.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/core/file.h"
#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/recorded.h"
#include "tests/support/skip.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

const fs::path recorded = source_dir() / "tests/fixtures/trajectory/aurora_kappa";

struct Trajectory {
  fs::path folder;
  std::vector<std::string> overrides = {};
  DType compute = DType::f32;
};

void write_trajectory(const Trajectory& t, const fs::path& out) {
  audit_trajectory(load_run_config(t.folder / "config.yaml", t.overrides), t.compute,
                   {.weights = t.folder / "weights.safetensors", .batches = t.folder / "batches.safetensors", .out = out});
}

std::vector<nlohmann::json> lines_of(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

bool is_schedule(const std::string& key) { return !key.ends_with("_loss") && key != "grad_norm"; }

/// What disagrees in the steps first; nothing if they agree. Schedules are the same doubles but for the order of a few products.
/// Losses carry float32's noise, which grows in time: a sign that decides whether an element decays flips, and AdamW makes a step
/// of a gradient of 1e-10. Recorded runs with other orders of summation stay inside these bounds.
std::string first_difference(const std::vector<nlohmann::json>& ours, const std::vector<nlohmann::json>& theirs) {
  if (ours.size() != theirs.size()) return fmt::format("{} steps for {}", ours.size(), theirs.size());
  for (size_t t = 0; t < theirs.size(); ++t)
    for (const auto& [key, value] : theirs[t].items()) {
      if (!ours[t].contains(key)) return key + " is missing";
      const bool early = t < 10;
      const double relative = is_schedule(key) ? 1e-6 : early ? 1e-5 : 2e-3;
      const double absolute = is_schedule(key) ? 1e-12 : early ? 1e-9 : 2e-6;
      const double expected = value, found = ours[t].at(key);
      if (!(std::abs(found - expected) <= relative * std::abs(expected) + absolute))
        return fmt::format("step {}: {} is {}, expected {}", t, key, found, expected);
    }
  return {};
}

/// The same of the parameters. Each may be off by a share of how far it was moved.
std::string first_difference(const ValuesByName& ours, const ValuesByName& theirs, const ValuesByName& start) {
  for (const auto& [name, expected] : theirs) {
    if (!ours.contains(name)) return name + " is missing";
    const Values& found = ours.at(name);
    const double off = distance(found.numbers, expected.numbers);
    const double moved = distance(expected.numbers, start.at(name.substr(name.find('.') + 1)).numbers);
    const double allowed = expected.exact ? 0 : (name.starts_with("step1.") ? 1e-3 : 2e-2) * moved + 1e-7;
    if (!(off <= allowed)) return fmt::format("{}: off by {}, allowed {}", name, off, allowed);
  }
  return {};
}

std::string first_difference(const Trajectory& t) {
  const TempFolder temp;
  write_trajectory(t, temp / "out");
  const std::string steps = first_difference(lines_of(temp / "out/steps.jsonl"), lines_of(t.folder / "expected_steps.jsonl"));
  if (!steps.empty()) return steps;
  return first_difference(values_in(temp / "out/parameters.safetensors"), values_in(t.folder / "expected_parameters.safetensors"),
                          values_in(t.folder / "weights.safetensors"));
}

}  // namespace

TEST_CASE("trajectory: the recorded training") {
  CHECK(first_difference({recorded}).empty());
  CHECK(first_difference({recorded, {}, DType::f64}).empty());
}

TEST_CASE("trajectory: all recorded trainings that can be found") {
  const auto shared = shared_folder("recorded trainings");
  if (!shared) return;
  int count = 0;
  for (const auto& entry : fs::directory_iterator(*shared / "golden/trajectory"))
    for (const DType compute : {DType::f32, DType::f64}) {
      INFO(entry.path().filename() << " in " << name_of(compute));
      CHECK(first_difference({entry.path(), {}, compute}) == "");
      ++count;
    }
  CHECK(count > 0);
}

TEST_CASE("trajectory: another recipe is another training") {
  const auto change = GENERATE(
      as<std::string>(), "train.adam_beta1=0.82", "train.adam_beta2=0.96", "train.weight_decay=0.055", "train.matrix_lr=0.81",
      "train.embedding_lr=0.31", "train.unembedding_lr=0.0201", "train.scalar_lr=4.1", "train.matrix_optimizer=muon",
      "train.muon_match_rms_adamw=false", "train.warmup_ratio=0.05", "train.warmdown_ratio=0.52", "train.final_lr_frac=0.01",
      "train.kappa_lr_max_scale=1.05", "train.kappa_lr_final_scale=0.55", "train.kappa_delay_start_min_iterations=6",
      "train.kappa_lr_warmup_iterations=11", "train.kappa_slope_max_scale_warmup_iteration_frac=0.17",
      "train.aux_loss_weight=0.0011", "train.aux_loss_weight_init_anneal_iterations=21", "train.kappa_l2_loss_weight=0.011",
      "train.kappa_scale_l2_loss_weight_scale=1.5", "train.router_z_loss_weight=0.002", "train.lr_base_scale=1.01",
      "train.lambda_start_step=1", "model.kappa_l2_ema_beta=0.98", "model.kappa_l2_ema_anchor_start=0.45",
      "model.kappa_l2_ema_anchor_end=0.52", "model.kappa_l2_ema_floor_frac=1.4", "model.train_capacity=1.3",
      "model.router_confidence_grad_scale=0.5", "model.router_z_loss_input_grad_scale=1");
  INFO(change);
  CHECK_FALSE(first_difference({recorded, {change}}).empty());
}

TEST_CASE("trajectory: the same bytes for any number of threads") {
  const TempFolder temp;
  const int before = threads();
  std::string first;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    write_trajectory({recorded}, temp / "out");
    const std::string bytes = read_file(temp / "out/parameters.safetensors") + read_file(temp / "out/steps.jsonl");
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  }
  set_threads(before);
}

TEST_CASE("trajectory: batches of another size are refused, and nothing is written") {
  const TempFolder temp;
  const auto refused = [&](const std::string& change, const std::string& expected) {
    INFO(change);
    CHECK_THROWS_WITH(write_trajectory({recorded, {change}}, temp / "out"), contains("inputs") && contains(expected));
    CHECK_FALSE(fs::exists(temp / "out"));
  };
  refused("train.num_iterations=59", "[118, 4, 32]");
  refused("train.device_batch_size=6", "[60, 6, 32]");
  refused("model.sequence_len=64", "64");
  refused("model.vocab_size=100", "expected ids from 0 to 99");
}
