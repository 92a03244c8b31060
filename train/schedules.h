#pragma once
// How learning rates and loss weights move over a run (spec: training §11). Pure functions of the step t = 0, 1, … before its
// update, in double.

#include <cstdint>

namespace kappa {

/// The learning rates' common multiplier (§11.1): up linearly, flat, down linearly.
///
///     t' = max(0, t − R)   N' = max(1, N − R)   n_w = round(warmup·N')   n_d = round(warmdown·N')
///     s₀·(t' + 1)/n_w  while t' < n_w      s₀  while t' ≤ N' − n_d      then s₀·(q + (1 − q)·f) with q = (N' − t')/n_d
///
/// Halves round to the even number.
struct LrSchedule {
  int64_t steps;  // N
  double warmup_ratio = 0, warmdown_ratio = 0.5;
  double final_fraction = 0;  // f
  int64_t restart_at = 0;     // R: the schedule begins here, and before it stands at its first value
  double base_scale = 1;      // s₀
};
double lr_multiplier(const LrSchedule& schedule, int64_t t);

/// Where a run was taken up again, and over how many steps its learning rates then return.
struct ResumeWarmup {
  int64_t resumed_at = -1;  // −1: it was not
  int64_t steps = 0;        // 0: at once
};
/// Multiplies lr_multiplier: (t − resumed_at + 1)/steps, clamped to [0, 1].
double resume_lr_factor(const ResumeWarmup& resume, int64_t t);
/// Multiplies κ's learning rate: 0 until the warm-up is over, then 1. While it is 0, κ's gradients are dropped (§11.4).
double resume_kappa_factor(const ResumeWarmup& resume, int64_t t);

/// 1 − t/N, the share of the initial weight decay that is left (§11.2).
double weight_decay_factor(int64_t steps, int64_t t);

/// Muon's momentum: 0.85 → 0.95 over 300 steps (§11.3). Aurora's does not move.
double muon_momentum(int64_t t);

/// The step at which κ begins to learn: max(minimum, ⌈fraction·N⌉).
int64_t kappa_delay(int64_t steps, int64_t minimum = 200, double fraction = 0.05);

/// κ's own factor on its learning rate, beside the common multiplier (§11.4): 0 for `delay` steps, up linearly to `peak` over
/// `warmup` steps, then linearly to `final_scale` at step N.
struct KappaLrSchedule {
  int64_t steps;  // N
  int64_t delay, warmup = 1000;
  double peak = 1, final_scale = 0.5;
};
double kappa_lr_scale(const KappaLrSchedule& schedule, int64_t t);

/// The bound U of κ's slopes (§11.5): 1 until `delay`, then linearly to `target` over ⌈warmup_fraction·N⌉ steps.
struct KappaSlopeSchedule {
  int64_t steps;  // N
  int64_t delay;
  double warmup_fraction = 0.15;
};
double kappa_slope_max(const KappaSlopeSchedule& schedule, double target, int64_t t);

/// The load-balancing loss's weight (§11.7): from `initial` down to `final_weight` over `steps` steps; `final_weight` throughout
/// if it is not smaller.
struct AuxLossSchedule {
  double initial = 2e-3, final_weight = 1e-3;
  int64_t steps = 500;
};
double aux_loss_weight(const AuxLossSchedule& schedule, int64_t t);

/// The κ regularisers' weight (§11.8): 0 during `no_learning` steps; then from `base` to stage1_fraction·base over `stage1_steps`
/// (0 or less: half of what is left), then to final_fraction·base at step N.
struct KappaL2Schedule {
  int64_t steps;  // N
  double base = 1e-2;
  double stage1_fraction = 1, final_fraction = 1;
  int64_t stage1_steps = -1, no_learning = 0;
};
double kappa_l2_weight(const KappaL2Schedule& schedule, int64_t t);

}  // namespace kappa
