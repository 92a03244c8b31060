#include "train/trajectory.h"

#include <nlohmann/json.hpp>

#include "engine/core/file.h"
#include "engine/memory/host_memory.h"
#include "model/weights.h"
#include "train/audit_files.h"
#include "train/memory_plan.h"
#include "train/step.h"

namespace kappa {
namespace {

/// Micro-batch i of [micro-batches, rows, tokens].
Batch slice_of(const GivenTokens& given, int64_t i) {
  const int64_t rows = given.inputs.dim(1), length = given.inputs.dim(2), size = rows * length;
  const auto part = [&](const Tensor& ids) {
    const int32_t* const first = ids.data<int32_t>() + i * size;
    return std::vector<int32_t>(first, first + size);
  };
  return {part(given.inputs), part(given.targets), rows, length};
}

GivenTokens read_batches(const RunConfig& config, const BatchPlan& plan, const std::filesystem::path& path) {
  const GivenTokens given = read_tokens(path, 3, config.model.vocab_size);
  const Shape expected{plan.steps * plan.micro_batches, config.train.device_batch_size, config.model.sequence_len};
  require(given.inputs.shape() == expected, "{}: inputs: expected {} for {} steps of {} micro-batches, found {}", path.string(),
          expected, plan.steps, plan.micro_batches, given.inputs.shape());
  return given;
}

nlohmann::ordered_json describe(int64_t t, const StepPlan& plan, const OptimizerSettings& settings) {
  const StepRates rates = rates_at(settings, plan.optimizer);
  return {{"step", t},
          {"lr_lm_head", rates.lr.lm_head},
          {"lr_embedding", rates.lr.embedding},
          {"lr_kappa", rates.lr.kappa},
          {"lr_resid_lambdas", rates.lr.resid_lambdas},
          {"lr_x0_lambdas", rates.lr.x0_lambdas},
          {"lr_matrix", rates.lr.matrix},
          {"weight_decay", rates.weight_decay},
          {"matrix_momentum", rates.matrix_momentum},
          {"moe_kappa_slope_max_scale", plan.moe_slope_max},
          {"dense_kappa_slope_max_scale", plan.dense_slope_max},
          {"aux_loss_weight", plan.weights.aux},
          {"kappa_l2_loss_weight", plan.weights.kappa_bias}};
}

void add_parameters(AuditOutput& out, const Gpt& model, const std::string& prefix) {
  for (const Parameter& p : model.store().parameters()) out.add(prefix + p.spec.name, p.master);
}

}  // namespace

void audit_trajectory(const RunConfig& config, DType compute, const TrajectoryFiles& files) {
  const BatchPlan batches = plan_batches(config);
  const GivenTokens given = read_batches(config, batches, files.batches);
  const SafetensorsFile weight_file(files.weights);
  check_weights(Gpt(config.model).store(), weight_file);
  check_memory(plan_memory(config, {compute, Narrow::none}), host_memory().available, smaller_training);
  Gpt model(config.model, compute);
  load_weights(model.store(), weight_file);
  const OptimizerSettings settings = optimizer_settings(config, batches);
  Optimizer optimizer(model.store(), settings);
  TrainingStep step(config, batches, model, optimizer);

  AuditOutput parameters;
  std::string lines;
  int64_t read = 0;
  for (int64_t t = 0; t < batches.steps; ++t) {
    const StepLosses losses = step.accumulate(t, [&] { return slice_of(given, read++); });
    nlohmann::ordered_json line = describe(t, plan_step(config, batches, t), settings);
    for (const auto& [name, value] : losses) line[name] = value;
    line["grad_norm"] = model.store().gradient_norm();
    lines += line.dump() + "\n";
    step.update(t);
    if (t == 0) add_parameters(parameters, model, "step1.");
  }
  add_parameters(parameters, model, "final.");
  for (const Buffer& b : model.store().buffers())
    if (b.spec.saved) parameters.add(b, "final.");

  std::error_code error;
  std::filesystem::create_directories(files.out, error);
  require(!error, "{}: cannot make the folder: {}", files.out.string(), error.message());
  write_file(files.out / "steps.jsonl", lines);
  parameters.write(files.out / "parameters.safetensors");
}

}  // namespace kappa
