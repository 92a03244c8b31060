#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "engine/device/thread_pool.h"
#include "train/bench.h"
#include "train/commands.h"

namespace kappa {

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
  command->add_option("CONFIG", o->config, "YAML; configs/reference.yaml explains every key")->required();
  command->add_option("--steps", o->bench.steps, "how many are measured")->check(CLI::Range(1, 1000000))->capture_default_str();
  command->add_option("--warmup", o->bench.warmup, "steps before them")->check(CLI::Range(0, 1000000))->capture_default_str();
  command->add_option("--set", o->overrides, "SECTION.KEY=VALUE instead of the file's");
  command->add_option("--threads", o->threads, "how many; 0: one a core")->check(CLI::Range(0, 1024));
  command->add_flag("--json", o->json, "one JSON object instead of the table");
  command->footer(
      "Examples: kappa bench configs/bench-cpu.yaml\n"
      "          kappa bench configs/quickstart.yaml --steps 50 --threads 1 --json --set train.matrix_optimizer=aurora");
  command->callback([o] {
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
