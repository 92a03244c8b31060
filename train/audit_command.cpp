#include <CLI/CLI.hpp>
#include <memory>

#include "engine/core/precision.h"
#include "engine/device/thread_pool.h"
#include "train/audit.h"
#include "train/commands.h"

namespace kappa {

void add_audit_command(CLI::App& app) {
  struct Options {
    std::string config, weights, batch, out, routing, precision = "float32", device = "cpu";
    std::vector<std::string> overrides;
    int threads = 0;
  };
  auto* const command =
      app.add_subcommand("audit", "One forward and backward pass on given tensors, everything comparable written out");
  const auto o = std::make_shared<Options>();
  command->add_option("CONFIG", o->config, "YAML with the sections model, train (constant loss weights) and audit")->required();
  command->add_option("--weights", o->weights, "safetensors: all parameters")->required();
  command->add_option("--batch", o->batch, "safetensors: inputs and targets, int32 [rows, tokens]")->required();
  command->add_option("--out", o->out, "safetensors to write")->required();
  command->add_option("--routing", o->routing, "an earlier audit's output, whose expert choices are imposed");
  command->add_option("--precision", o->precision, "what is computed in")
      ->check(CLI::IsMember(std::vector<std::string>(precision_names.begin(), precision_names.end())))
      ->capture_default_str();
  command->add_option("--device", o->device, "where")->check(CLI::IsMember({"cpu", "cuda", "emulated"}))->capture_default_str();
  command->add_option("--threads", o->threads, "0: one a core")->check(CLI::Range(0, 1024));
  command->add_option("--set", o->overrides, "SECTION.KEY=VALUE instead of the file's");
  command->footer(
      "Example: kappa audit config.yaml --weights weights.safetensors --batch batch.safetensors --out out.safetensors");
  command->callback([o] {
    require(o->device == "cpu", "--device {}: the model's ops have no kernels there yet; --device cpu has them all", o->device);
    set_threads(o->threads);
    AuditFiles files{.weights = o->weights, .batch = o->batch, .out = o->out, .routing = {}};
    if (!o->routing.empty()) files.routing = o->routing;
    audit(load_run_config(o->config, o->overrides), precision_named(o->precision), files);
  });
}

}  // namespace kappa
