#include <CLI/CLI.hpp>
#include <memory>

#include "engine/core/file.h"
#include "engine/core/precision.h"
#include "engine/device/thread_pool.h"
#include "train/audit.h"
#include "train/commands.h"
#include "train/trajectory.h"

namespace kappa {

void add_audit_command(CLI::App& app) {
  struct Options {
    std::string config, weights, batch, batches, out, routing, precision = "float32", device;
    std::vector<std::string> overrides;
    int threads = 0;
  };
  auto* const command = app.add_subcommand(
      "audit",
      "One forward and backward pass on given tensors, or a whole training on given batches, everything comparable written out");
  const auto o = std::make_shared<Options>();
  command->add_option("CONFIG", o->config, "YAML with the sections model, train (constant loss weights) and audit")->required();
  command->add_option("--weights", o->weights, "safetensors: all parameters")->required();
  auto* const batch = command->add_option("--batch", o->batch, "safetensors: inputs and targets, int32 [rows, tokens]");
  auto* const batches =
      command->add_option("--batches", o->batches, "the same of a whole training: [steps * micro-batches, rows, tokens]");
  batch->excludes(batches);
  command->add_option("--out", o->out, "safetensors to write; with --batches a folder")->required();
  command->add_option("--routing", o->routing, "an earlier audit's output, whose expert choices are imposed")->excludes(batches);
  command->add_option("--precision", o->precision, "what is computed in")
      ->check(CLI::IsMember(std::vector<std::string>(precision_names.begin(), precision_names.end())))
      ->capture_default_str();
  command->add_option("--device", o->device, "where, instead of the file's")->check(CLI::IsMember({"cpu", "cuda", "emulated"}));
  command->add_option("--threads", o->threads, "0: one a core")->check(CLI::Range(0, 1024));
  command->add_option("--set", o->overrides, "SECTION.KEY=VALUE instead of the file's");
  command->footer(
      "Examples:\n"
      "  kappa audit config.yaml --weights weights.safetensors --batch batch.safetensors --out out.safetensors\n"
      "  kappa audit config.yaml --weights weights.safetensors --batches batches.safetensors --out folder");
  command->callback([o] {
    require_other_file("--out", o->out, {o->config, o->weights, o->batch, o->batches, o->routing});
    require(!o->batch.empty() || !o->batches.empty(), "audit: expected --batch FILE or --batches FILE");
    set_threads(o->threads);
    if (!o->device.empty()) o->overrides.push_back("device=" + o->device);
    const RunConfig config = load_run_config(o->config, o->overrides);
    check_device(config);
    if (!o->batches.empty())
      return audit_trajectory(config, precision_named(o->precision),
                              {.weights = o->weights, .batches = o->batches, .out = o->out});
    AuditFiles files{.weights = o->weights, .batch = o->batch, .out = o->out, .routing = {}};
    if (!o->routing.empty()) files.routing = o->routing;
    audit(config, precision_named(o->precision), files);
  });
}

}  // namespace kappa
