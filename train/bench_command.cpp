#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "engine/core/precision.h"
#include "engine/device/grid_gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/step_slab.h"
#include "train/bench.h"
#include "train/bench_moe.h"
#include "train/commands.h"

namespace kappa {

/// One of the names that --device takes.
static Device device_named(std::string_view name) {
  constexpr auto names = names_of(Device{});
  return Device(std::ranges::find(names, name) - names.begin());
}

static void add_bench_moe_command(CLI::App& bench) {
  struct Options {
    MoeBenchOptions bench;
    std::string dtype = name_of(DType::bf16), device = name_of(Device::cpu), baseline;
    int threads = 0;
    int64_t memory = 0;
    bool small = false, json = false, tiled = false;
  };
  auto* const command = bench.add_subcommand("moe", "One MoE layer, forward and backward: each op beside its floor");
  const auto o = std::make_shared<Options>();
  const CLI::Range positive(1, 1 << 30);
  command->add_option("--device", o->device, "where")->check(CLI::IsMember({"cpu", "cuda", "emulated"}))->capture_default_str();
  command->add_option("--dtype", o->dtype, "what it computes in")->check(CLI::IsMember(precision_names))->capture_default_str();
  command->add_flag("--small", o->small, "for tests, where not given otherwise: 96 tokens, 32 channels, 4 experts, 2 steps");
  command->add_option("--tokens", o->bench.tokens, "N")->check(positive)->capture_default_str();
  command->add_option("--channels", o->bench.channels, "C; the experts' hidden size is four times that")
      ->check(positive)
      ->capture_default_str();
  command->add_option("--experts", o->bench.experts, "E")->check(positive)->capture_default_str();
  command->add_option("--top-k", o->bench.top_k, "K")->check(positive)->capture_default_str();
  command->add_option("--capacity", o->bench.capacity, "factor")->check(CLI::Range(0.01, 1000.0))->capture_default_str();
  command->add_option("--steps", o->bench.steps, "passes that are measured")->check(positive)->capture_default_str();
  command->add_option("--warmup", o->bench.warmup, "passes before them")->check(CLI::Range(0, 1 << 30))->capture_default_str();
  command->add_flag("--tiled", o->tiled, "the GPU's products by our own kernel instead of the library");
  command->add_option("--memory", o->memory, "MiB of a GPU for activations; 0: all that is free")->check(CLI::Range(0, 1 << 30));
  command->add_option("--plans", o->bench.plans, "keep the GPU's choice of algorithms for products in this file");
  command->add_option("--baseline", o->baseline, "swiglu: the same layer without κ too")->check(CLI::IsMember({"swiglu"}));
  command->add_option("--threads", o->threads, "of the CPU; 0: one a core")->check(CLI::Range(0, 1024));
  command->add_flag("--json", o->json, "one JSON object instead of the table");
  command->callback([o, command] {
    set_threads(o->threads);
    MoeBenchOptions b = o->bench;
    const auto unless_given = [&](const char* option, int64_t& value, int64_t small) {
      if (command->count(option) == 0) value = small;
    };
    if (o->small) {
      unless_given("--tokens", b.tokens, 96), unless_given("--channels", b.channels, 32), unless_given("--experts", b.experts, 4);
      unless_given("--steps", b.steps, 2), unless_given("--warmup", b.warmup, 1);
    }
    b.dtype = precision_named(o->dtype);
    b.device = device_named(o->device);
    b.baseline = !o->baseline.empty();
    if (o->tiled) use_tiled_products();
    if (o->memory > 0) limit_gpu_step_slab(o->memory << 20);
    const MoeBenchReport report = bench_moe(b);
    if (o->json)
      fmt::print("{}\n", to_json(report).dump());
    else
      fmt::print("{}", to_text(report));
  });
}

void add_bench_command(CLI::App& app) {
  struct Options {
    std::string config;
    std::vector<std::string> overrides;
    BenchOptions bench;
    int threads = -1;
    bool json = false;
  };
  auto* const command = app.add_subcommand("bench", "Where a training step's time and memory go; random tokens, no data needed");
  const auto o = std::make_shared<Options>();
  command->add_option("CONFIG", o->config, "YAML; configs/reference.yaml explains every key");
  command->add_option("--steps", o->bench.steps, "how many are measured")->check(CLI::Range(1, 1000000))->capture_default_str();
  command->add_option("--warmup", o->bench.warmup, "steps before them")->check(CLI::Range(0, 1000000))->capture_default_str();
  command->add_option("--set", o->overrides, "SECTION.KEY=VALUE instead of the file's");
  command->add_option("--threads", o->threads, "how many; 0: one a core")->check(CLI::Range(0, 1024));
  command->add_flag("--json", o->json, "one JSON object instead of the table");
  command->footer(
      "Examples: kappa bench configs/bench-cpu.yaml\n"
      "          kappa bench moe --device cuda --baseline swiglu\n"
      "          kappa bench configs/quickstart.yaml --steps 50 --threads 1 --json --set train.matrix_optimizer=aurora");
  add_bench_moe_command(*command);
  command->callback([o, command] {
    if (!command->get_subcommands().empty()) return;
    if (o->config.empty()) throw CLI::RequiredError("CONFIG");
    const RunConfig config = load_run_config(o->config, o->overrides);
    set_threads(o->threads >= 0 ? o->threads : int(config.threads));
    const BenchReport report = bench(config, o->bench);
    if (o->json)
      fmt::print("{}\n", to_json(report).dump());
    else
      fmt::print("{}", to_text(report));
  });
}

}  // namespace kappa
