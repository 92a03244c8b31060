#include "train/dry_run.h"

#include <fmt/format.h>

#include "model/gpt.h"
#include "train/memory_plan.h"
#include "train/optimizers/matrix_step.h"
#include "train/optimizers/optimizer.h"
#include "train/recipe.h"
#include "train/schedules.h"

namespace kappa {
namespace {

std::string time_text(double seconds) {
  constexpr double minute = 60, hour = 60 * minute, day = 24 * hour, year = 365 * day;
  if (seconds < 2 * minute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * hour) return fmt::format("{:.0f} min", seconds / minute);
  if (seconds < 2 * day) return fmt::format("{:.1f} h", seconds / hour);
  return seconds < 2 * year ? fmt::format("{:.1f} days", seconds / day) : fmt::format("{:.1f} years", seconds / year);
}

}  // namespace

TimePlan plan_time(const RunConfig& config, double product_rate) {
  const RunSizes sizes = plan_sizes(config);
  const OptimizerSettings settings = optimizer_settings(config, sizes.batches);
  const Gpt model(config.model);
  double matrices = 0;  // FLOPs of a step
  for (const Parameter& p : model.store().parameters())
    if (p.spec.role == Role::matrix && p.spec.gets_gradient) {
      const int64_t rows = p.spec.shape[-2], columns = p.spec.shape[-1];
      const int64_t count = p.spec.shape.size() / (rows * columns);
      matrices += double(count) *
                  matrix_step_flops({settings.matrix_optimizer, settings.iterate_in_bfloat16, settings.rounding}, rows, columns);
    }
  const double steps = double(sizes.batches.steps);
  return {.forward_backward = sizes.flops.active * steps * double(sizes.batches.batch_tokens) / product_rate,
          .optimizer = matrices * steps / product_rate};
}

nlohmann::ordered_json dry_run(const RunConfig& config, double product_rate) {
  const ModelConfig& m = config.model;
  const TrainConfig& t = config.train;
  const RunSizes sizes = plan_sizes(config);
  const BatchPlan& b = sizes.batches;
  const ParameterCounts& p = sizes.parameters;
  const double tokens = double(b.steps) * double(b.batch_tokens);
  const StepRates rates = rates_at(optimizer_settings(config, b), {});
  const MemoryPlan memory = plan_memory(config);
  const TimePlan time = plan_time(config, product_rate);
  return {{"n_layer", m.n_layer},
          {"n_head", m.n_head},
          {"n_kv_head", m.n_kv()},
          {"n_embd", m.n_embd},
          {"sequence_len", m.sequence_len},
          {"vocab_size", m.vocab_size},
          {"n_exp", m.n_exp},
          {"moe_top_k", m.moe_top_k},
          {"moe_layers", m.moe_layers()},
          {"parameters",
           {{"total", p.total},
            {"wte", p.embedding},
            {"value_embeds", p.value_embeddings},
            {"lm_head", p.lm_head},
            {"transformer_matrices", p.blocks},
            {"scalars", p.scalars},
            {"active", int64_t(p.active)}}},
          {"scaling_params", sizes.scaling_parameters},
          {"scaling_params_adjusted", sizes.adjusted_counting},
          {"target_tokens", int64_t(sizes.token_budget)},
          {"total_batch_size", b.batch_tokens},
          {"num_iterations", b.steps},
          {"grad_accum_steps", b.micro_batches},
          {"last_micro_batch_rows", b.last_rows},
          {"tokens", int64_t(tokens)},
          {"tokens_per_scaling_param", tokens / sizes.scaling_parameters},
          {"flops_per_token", sizes.flops.active},
          {"flops_reference", sizes.flops.reference},
          {"total_flops", sizes.flops.active * tokens},
          {"total_flops_reference", sizes.flops.reference * tokens},
          {"lr_lm_head", rates.lr.lm_head},
          {"lr_embedding", rates.lr.embedding},
          {"lr_kappa", rates.lr.kappa},
          {"lr_resid_lambdas", rates.lr.resid_lambdas},
          {"lr_x0_lambdas", rates.lr.x0_lambdas},
          {"lr_matrix", rates.lr.matrix},
          {"weight_decay", rates.weight_decay},
          {"kappa_delay_start_iterations",
           kappa_delay(b.steps, t.kappa_delay_start_min_iterations, t.kappa_delay_start_iteration_frac)},
          {"precision", names_of(t.precision)[size_t(t.precision)]},
          {"memory",
           {{"parameters", memory.parameters},
            {"gradients", memory.gradients},
            {"optimizer", memory.optimizer},
            {"activations", memory.activations},
            {"total", memory.total()}}},
          {"time_at_least",
           {{"product_gflop_per_second", product_rate / 1e9},
            {"forward_backward_seconds", time.forward_backward},
            {"optimizer_seconds", time.optimizer},
            {"total_seconds", time.total()}}}};
}

std::string describe_dry_run(const nlohmann::ordered_json& r) {
  const auto& p = r.at("parameters");
  const auto& m = r.at("memory");
  const auto& t = r.at("time_at_least");
  const auto number = [](const nlohmann::ordered_json& value) { return value.get<double>(); };
  return fmt::format(
      "model       {} layers ({} of them MoE: {} experts, top-{}), {} channels, {} heads, rows of {} tokens, {} token types\n"
      "parameters  {:.4g} ({:.4g} of them meet a token): blocks {:.4g}, embedding {:.4g}, value embeddings {:.4g}, lm_head "
      "{:.4g}\n"
      "run         {} steps of {} tokens ({} micro-batches, the last of {} rows): {:.4g} tokens, {:.3f} for each of {:.5g} "
      "scaling parameters\n"
      "FLOPs       {:.4g} a token ({:.4g} with all experts counted, as the paper's code does), {:.4g} in all\n"
      "rates       lm_head {:.4g}, embeddings {:.4g}, κ {:.4g} from step {}, matrices {:.4g} with decay {:.4g}\n"
      "memory      {}: parameters {}, gradients {}, optimizer {}, activations about {}\n"
      "time        more than {}: so long this processor's {:.0f} GFLOP/s need for the matrix products alone ({} of it the "
      "optimizer's)",
      r.at("n_layer").get<int64_t>(), r.at("moe_layers").get<int64_t>(), r.at("n_exp").get<int64_t>(),
      r.at("moe_top_k").get<int64_t>(), r.at("n_embd").get<int64_t>(), r.at("n_head").get<int64_t>(),
      r.at("sequence_len").get<int64_t>(), r.at("vocab_size").get<int64_t>(), number(p.at("total")), number(p.at("active")),
      number(p.at("transformer_matrices")), number(p.at("wte")), number(p.at("value_embeds")), number(p.at("lm_head")),
      r.at("num_iterations").get<int64_t>(), r.at("total_batch_size").get<int64_t>(), r.at("grad_accum_steps").get<int64_t>(),
      r.at("last_micro_batch_rows").get<int64_t>(), number(r.at("tokens")), number(r.at("tokens_per_scaling_param")),
      number(r.at("scaling_params")), number(r.at("flops_per_token")), number(r.at("flops_reference")),
      number(r.at("total_flops")), number(r.at("lr_lm_head")), number(r.at("lr_embedding")), number(r.at("lr_kappa")),
      r.at("kappa_delay_start_iterations").get<int64_t>(), number(r.at("lr_matrix")), number(r.at("weight_decay")),
      bytes_text(number(m.at("total"))), bytes_text(number(m.at("parameters"))), bytes_text(number(m.at("gradients"))),
      bytes_text(number(m.at("optimizer"))), bytes_text(number(m.at("activations"))), time_text(number(t.at("total_seconds"))),
      number(t.at("product_gflop_per_second")), time_text(number(t.at("optimizer_seconds"))));
}

}  // namespace kappa
