#include "train/sizes.h"

#include <cmath>

#include "model/gpt.h"

namespace kappa {

ParameterCounts count_parameters(const ModelConfig& config) {
  const double share = double(config.moe_top_k) / double(config.n_exp);
  ParameterCounts counts;
  const Gpt model(config);
  for (const Parameter& p : model.store().parameters()) {
    const int64_t n = p.spec.shape.size();
    const bool of_experts = p.spec.name.find(".experts.") != std::string::npos;
    const bool in_block = p.spec.name.starts_with("transformer.h.");
    counts.total += n;
    counts.active += of_experts ? share * double(n) : double(n);
    if (in_block || p.spec.role == Role::lm_head) counts.adjusted += of_experts ? std::sqrt(share) * double(n) : double(n);
    if (in_block)
      counts.blocks += n;
    else if (p.spec.role == Role::lm_head)
      counts.lm_head += n;
    else if (p.spec.role == Role::embedding)
      counts.embedding += n;
    else if (p.spec.role == Role::value_embedding)
      counts.value_embeddings += n;
    else
      counts.scalars += n;
  }
  return counts;
}

FlopsPerToken flops_per_token(const ModelConfig& config, const ParameterCounts& n) {
  double attention = 0;
  for (int64_t layer = 0; layer < config.n_layer; ++layer) attention += 12.0 * double(config.n_embd * config.window(layer));
  const double looked_up = double(n.embedding + n.value_embeddings + n.scalars), loops = double(config.total_ut_steps);
  return {.active = loops * (6 * (n.active - looked_up) + attention),
          .reference = loops * (6 * (double(n.total) - looked_up) + attention)};
}

double BatchPlan::share(int64_t i, int64_t rows) const {
  const double last = double(last_rows) / double(rows), total = double(micro_batches - 1) + last;
  return (i + 1 == micro_batches ? last : 1.0) / total;
}

namespace {

/// The model whose best batch is known: 2¹⁹ tokens at 12 layers.
ModelConfig yardstick(ModelConfig config) {
  config.set_depth(12);
  return config;
}

double scaling_parameters(const ParameterCounts& n, bool adjusted) {
  return adjusted ? n.adjusted : double(n.blocks + n.lm_head);
}

/// Half to even.
int64_t rounded(double x) { return int64_t(std::nearbyint(x)); }

/// B = 2^round(log₂(2¹⁹·(D/D₁₂)^0.383)), at most what max_auto_grad_accum_steps micro-batches hold.
void choose_batch(RunSizes& sizes, const RunConfig& config, int64_t micro_tokens) {
  const TrainConfig& t = config.train;
  const double known =
      t.target_param_data_ratio * scaling_parameters(count_parameters(yardstick(config.model)), sizes.adjusted_counting);
  sizes.log2_batch = std::log2(double(1 << 19) * std::pow(sizes.token_budget / known, 0.383));
  const int64_t exponent = rounded(sizes.log2_batch);
  require(exponent >= 0 && exponent < 62, "train.total_batch_size: the automatic batch would be 2^{} tokens; give one", exponent);
  sizes.batches.batch_tokens = int64_t{1} << exponent;
  if (t.max_auto_grad_accum_steps > 0 &&
      double(sizes.batches.batch_tokens) > double(micro_tokens) * double(t.max_auto_grad_accum_steps))
    sizes.batches.batch_tokens = micro_tokens * t.max_auto_grad_accum_steps;
}

/// N from the number itself, from a budget of FLOPs (as the reference counts them), or from one of tokens.
int64_t choose_steps(const RunSizes& sizes, const TrainConfig& t) {
  if (t.num_iterations > 0) return t.num_iterations;
  const double batch = double(sizes.batches.batch_tokens);
  const bool by_flops = t.target_flops > 0;
  const double steps =
      by_flops ? std::nearbyint(t.target_flops / (sizes.flops.reference * batch)) : std::floor(sizes.token_budget / batch);
  require(steps >= 1 && steps < 0x1p53, "{}: {} make {} steps of {} tokens",
          by_flops ? "train.target_flops" : "train.target_param_data_ratio",
          by_flops ? t.target_flops : t.target_param_data_ratio, steps, sizes.batches.batch_tokens);
  return int64_t(steps);
}

/// What is to happen at a step must find one.
void check_steps(const RunConfig& config, int64_t steps) {
  const auto within = [&](const char* key, int64_t step, int64_t last) {
    require(step <= last, "{}: expected a step up to {} of a run of {}, found {}", key, last, steps, step);
  };
  within("train.lr_schedule_restart_at_step", config.train.lr_schedule_restart_at_step, steps - 1);
  within("train.resume_from_step", config.train.resume_from_step, steps);
  for (const int64_t step : config.checkpoint.milestones) within("checkpoint.milestones", step, steps);
}

}  // namespace

RunSizes plan_sizes(const RunConfig& config, int64_t ranks) {
  const TrainConfig& t = config.train;
  RunSizes sizes;
  sizes.parameters = count_parameters(config.model);
  sizes.flops = flops_per_token(config.model, sizes.parameters);
  sizes.adjusted_counting =
      t.use_moe_adjusted_scaling_params && double(config.model.moe_layers()) >= double(config.model.n_layer) / 5;
  sizes.scaling_parameters = scaling_parameters(sizes.parameters, sizes.adjusted_counting);
  sizes.token_budget = std::max(0.0, std::floor(t.target_param_data_ratio * sizes.scaling_parameters));

  const int64_t row_tokens = config.model.sequence_len * ranks, micro_tokens = t.device_batch_size * row_tokens;
  BatchPlan& batches = sizes.batches;
  batches.batch_tokens = t.total_batch_size;
  if (t.total_batch_size < 0) {
    require(t.target_param_data_ratio > 0,
            "train.total_batch_size: an automatic batch follows from train.target_param_data_ratio, which is {}",
            t.target_param_data_ratio);
    choose_batch(sizes, config, micro_tokens);
  }
  require(batches.batch_tokens % row_tokens == 0,
          "train.total_batch_size: expected a multiple of model.sequence_len {} on {} rank{}, found {}",
          config.model.sequence_len, ranks, ranks == 1 ? "" : "s", batches.batch_tokens);
  batches.micro_batches = (batches.batch_tokens + micro_tokens - 1) / micro_tokens;
  batches.last_rows = (batches.batch_tokens - (batches.micro_batches - 1) * micro_tokens) / row_tokens;
  batches.steps = choose_steps(sizes, t);
  check_steps(config, batches.steps);
  return sizes;
}

}  // namespace kappa
