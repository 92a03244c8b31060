#include "train/recipe.h"

#include "train/schedules.h"

namespace kappa {

StepPlan plan_step(const RunConfig& config, const BatchPlan& batches, int64_t t) {
  const TrainConfig& c = config.train;
  const int64_t steps = batches.steps;
  const int64_t delay = kappa_delay(steps, c.kappa_delay_start_min_iterations, c.kappa_delay_start_iteration_frac);
  const KappaSlopeSchedule slope{
      .steps = steps, .delay = delay, .warmup_fraction = c.kappa_slope_max_scale_warmup_iteration_frac};
  const ResumeWarmup resume{.resumed_at = c.resume_from_step, .steps = c.resume_lr_warmup_steps};
  const double l2 = kappa_l2_weight({.steps = steps,
                                     .base = c.kappa_l2_loss_weight,
                                     .stage1_fraction = c.kappa_l2_loss_stage1_frac,
                                     .final_fraction = c.kappa_l2_loss_final_frac,
                                     .stage1_steps = c.kappa_l2_loss_anneal_iterations},
                                    t);
  StepPlan plan;
  plan.moe_slope_max = kappa_slope_max(slope, config.model.moe_kappa_slope_max_scale, t);
  plan.dense_slope_max = kappa_slope_max(slope, config.model.dense_kappa_slope_max_scale, t);
  plan.weights = {.router_z = c.router_z_loss_weight,
                  .aux = aux_loss_weight({.initial = c.aux_loss_weight * c.aux_loss_weight_init_scale,
                                          .final_weight = c.aux_loss_weight,
                                          .steps = c.aux_loss_weight_init_anneal_iterations},
                                         t),
                  .kappa_bias = l2,
                  .kappa_scale = l2 * c.kappa_scale_l2_loss_weight_scale};
  plan.optimizer = {.lr_multiplier = lr_multiplier({.steps = steps,
                                                    .warmup_ratio = c.warmup_ratio,
                                                    .warmdown_ratio = c.warmdown_ratio,
                                                    .final_fraction = c.final_lr_frac,
                                                    .restart_at = c.lr_schedule_restart_at_step,
                                                    .base_scale = c.lr_base_scale},
                                                   t) *
                                     resume_lr_factor(resume, t),
                    .kappa_lr_scale = kappa_lr_scale({.steps = steps,
                                                      .delay = delay,
                                                      .warmup = c.kappa_lr_warmup_iterations,
                                                      .peak = c.kappa_lr_max_scale,
                                                      .final_scale = c.kappa_lr_final_scale},
                                                     t) *
                                      resume_kappa_factor(resume, t),
                    .weight_decay_factor = weight_decay_factor(steps, t),
                    .muon_momentum = muon_momentum(t),
                    .update_kappa = resume_kappa_factor(resume, t) > 0,
                    .update_lambdas = t >= c.lambda_start_step};
  return plan;
}

OptimizerSettings optimizer_settings(const RunConfig& config, const BatchPlan& batches) {
  const TrainConfig& t = config.train;
  return {.unembedding_lr = t.unembedding_lr,
          .embedding_lr = t.embedding_lr,
          .scalar_lr = t.scalar_lr,
          .matrix_lr = t.matrix_lr,
          .adam_beta1 = t.adam_beta1,
          .adam_beta2 = t.adam_beta2,
          .weight_decay = t.weight_decay,
          .matrix_optimizer = t.matrix_optimizer,
          .match_rms_adamw = t.muon_match_rms_adamw,
          .iterate_in_bfloat16 = t.precision != Precision::float32,
          .rounding = t.optimizer_rounding,
          .depth = config.model.n_layer,
          .model_dim = config.model.n_embd,
          .batch_tokens = batches.batch_tokens};
}

}  // namespace kappa
