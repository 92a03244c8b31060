#include <CLI/CLI.hpp>
#include <memory>

#include "data/notices.h"
#include "engine/device/thread_pool.h"
#include "train/commands.h"
#include "train/dry_run.h"
#include "train/machine_speed.h"
#include "train/run_folder.h"
#include "train/trainer.h"

namespace kappa {

void add_train_command(CLI::App& app) {
  struct Options {
    std::string config, device;
    std::vector<std::string> overrides;
    int threads = -1;
    bool dry_run = false, json = false;
  };
  auto* const command = app.add_subcommand("train", "Train a model; goes on by itself where the run's folder holds a checkpoint");
  const auto o = std::make_shared<Options>();
  command->add_option("CONFIG", o->config, "YAML; configs/reference.yaml explains every key")->required();
  command->add_option("--set", o->overrides, "SECTION.KEY=VALUE instead of the file's");
  command->add_option("--device", o->device, "where, instead of the file's")->check(CLI::IsMember({"cpu", "cuda", "emulated"}));
  command->add_option("--threads", o->threads, "how many; 0: one a core")->check(CLI::Range(0, 1024));
  auto* const dry = command->add_flag("--dry-run", o->dry_run, "print what the run will be, and do nothing");
  command->add_flag("--json", o->json, "with --dry-run: as one JSON object")->needs(dry);
  command->footer(
      "Examples:\n"
      "  kappa train configs/quickstart.yaml --set train.num_iterations=100 --set run.dir=runs/short\n"
      "  kappa train configs/quickstart.yaml --dry-run");
  command->callback([o] {
    if (!o->device.empty()) o->overrides.push_back("device=" + o->device);
    const RunConfig config = load_run_config(o->config, o->overrides);
    set_threads(o->threads >= 0 ? o->threads : int(config.threads));
    const std::filesystem::path run_folder = run_path(config, o->config);
    if (o->dry_run) {
      const auto run = dry_run(config, measure_product_rate());
      fmt::print("{}\n", o->json ? run.dump(2) : describe_dry_run(run));
      if (const auto why = refusal(config, run_folder)) notice("here this run would be refused: " + *why);
      return;
    }
    train(config, run_folder);
  });
}

}  // namespace kappa
