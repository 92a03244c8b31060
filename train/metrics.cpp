#include "train/metrics.h"

#include <cmath>

#include "engine/tensor/dispatch.h"
#include "train/schedules.h"

namespace kappa {

static constexpr double loss_decay = 0.9;

double follow_loss(double running, double loss) { return running + (1 - loss_decay) * (loss - running); }
double debiased_loss(double running, int64_t losses) { return running / (1 - std::pow(loss_decay, double(losses))); }

nlohmann::ordered_json step_metrics(const RunConfig& config, const RunSizes& sizes, int64_t t, const StepLosses& losses,
                                    double smooth_loss, const MetricsClock& clock) {
  const BatchPlan& batches = sizes.batches;
  const StepPlan plan = plan_step(config, batches, t);
  const double tokens_seen = double(batches.batch_tokens) * double(t);
  nlohmann::ordered_json line{{"step", t},
                              {"tokens_seen", batches.batch_tokens * t},
                              {"total_training_flops", sizes.flops.active * tokens_seen},
                              {"total_training_flops_reference", sizes.flops.reference * tokens_seen},
                              {"total_training_time", clock.total_seconds},
                              {"train/loss_step", smooth_loss}};
  for (const auto& [name, value] : losses) line[name == "loss" ? "train/objective_step" : "train/" + name + "_step"] = value;
  line["train/kappa_bias_lr_scale"] = plan.optimizer.kappa_lr_scale;
  line["lrm"] = plan.optimizer.lr_multiplier;
  line["dt"] = clock.interval_seconds / double(clock.interval_steps);
  line["dt_data"] = clock.waiting_seconds / double(clock.interval_steps);
  line["tok_per_sec"] = double(batches.batch_tokens * clock.interval_steps) / clock.interval_seconds;
  line["train/aux_loss_weight"] = plan.weights.aux;
  line["train/kappa_bias_l2_loss_weight"] = plan.weights.kappa_bias;
  line["train/kappa_scale_l2_loss_weight"] = plan.weights.kappa_scale;
  line["train/moe_kappa_slope_max_scale"] = plan.moe_slope_max;
  line["train/dense_kappa_slope_max_scale"] = plan.dense_slope_max;
  return line;
}

namespace {

std::vector<double> values_of(const Parameter& p) {
  std::vector<double> values(size_t(p.master.size()));
  dispatch("metrics", p.master.dtype(), p.master.device(), [&]<class T>(T, CpuQueue) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = double(Wide<T>(p.master.data<T>()[i]));
  });
  return values;
}

double mean_row_norm(const std::vector<double>& values, int64_t rows) {
  double sum = 0;
  const size_t width = values.size() / size_t(rows);
  for (size_t row = 0; row < size_t(rows); ++row) {
    double squares = 0;
    for (size_t i = row * width; i < (row + 1) * width; ++i) squares += values[i] * values[i];
    sum += std::sqrt(squares);
  }
  return sum / double(rows);
}

}  // namespace

void report_parameters(const ParameterStore& store, int64_t layers, nlohmann::ordered_json& line) {
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string mlp = fmt::format("transformer.h.{}.mlp.", layer);
    for (const Parameter& p : store.parameters()) {
      if (!p.spec.name.starts_with(mlp)) continue;
      if (p.spec.name.ends_with(".router.w_g.weight"))
        line[fmt::format("inspect/router_row_norm_{}", layer)] = mean_row_norm(values_of(p), p.spec.shape[0]);
      if (p.spec.role != Role::kappa) continue;
      double sum = 0, size = 0;
      for (const double value : values_of(p)) sum += value, size += std::abs(value);
      const std::string name = p.spec.name.substr(p.spec.name.rfind('.') + 1);  // kappa_bias, kappa_scale
      line[fmt::format("inspect/{}_mean_{}", name, layer)] = sum / double(p.master.size());
      line[fmt::format("inspect/{}_abs_mean_{}", name, layer)] = size / double(p.master.size());
    }
  }
}

}  // namespace kappa
