#include "train/schedules.h"

#include <algorithm>
#include <cmath>

namespace kappa {

static int64_t round_half_to_even(double x) { return int64_t(std::nearbyint(x)); }

double lr_multiplier(const LrSchedule& s, int64_t t) {
  const int64_t elapsed = std::max<int64_t>(0, t - s.restart_at), steps = std::max<int64_t>(1, s.steps - s.restart_at);
  const int64_t warmup = round_half_to_even(s.warmup_ratio * double(steps));
  const int64_t warmdown = round_half_to_even(s.warmdown_ratio * double(steps));
  if (elapsed < warmup) return s.base_scale * double(elapsed + 1) / double(warmup);
  if (elapsed <= steps - warmdown) return s.base_scale;
  const double left = double(steps - elapsed) / double(warmdown);
  return s.base_scale * (left + (1 - left) * s.final_fraction);
}

double resume_lr_factor(const ResumeWarmup& r, int64_t t) {
  if (r.resumed_at < 0 || r.steps <= 0) return 1;
  return std::clamp(double(t - r.resumed_at + 1) / double(r.steps), 0.0, 1.0);
}

double resume_kappa_factor(const ResumeWarmup& r, int64_t t) {
  if (r.resumed_at < 0 || r.steps <= 0) return 1;
  return t >= r.resumed_at + r.steps ? 1 : 0;
}

double weight_decay_factor(int64_t steps, int64_t t) { return 1 - double(t) / double(steps); }

double muon_momentum(int64_t t) { return 0.85 + 0.10 * std::min(double(t) / 300, 1.0); }

int64_t kappa_delay(int64_t steps, int64_t minimum, double fraction) {
  return std::max(minimum, int64_t(std::ceil(fraction * double(steps))));
}

double kappa_lr_scale(const KappaLrSchedule& s, int64_t t) {
  const int64_t delay = std::min(s.delay, s.steps), warmup = std::min(s.warmup, s.steps - delay);
  const int64_t learning = std::clamp<int64_t>(t, 0, s.steps) - delay;  // steps since κ began to learn
  if (learning < 0) return 0;
  if (learning < warmup) return s.peak * double(learning) / double(warmup);
  const int64_t decline = s.steps - delay - warmup;
  if (decline <= 0) return s.peak;
  return s.peak + (s.final_scale - s.peak) * double(learning - warmup) / double(decline);
}

double kappa_slope_max(const KappaSlopeSchedule& s, double target, int64_t t) {
  if (target == 1 || t < s.delay) return 1;
  const auto warmup = int64_t(std::ceil(double(s.steps) * s.warmup_fraction));
  if (warmup <= 0) return target;
  return 1 + (target - 1) * double(std::min(t - s.delay, warmup)) / double(warmup);
}

double aux_loss_weight(const AuxLossSchedule& s, int64_t t) {
  if (s.initial <= s.final_weight) return s.final_weight;
  if (s.steps <= 0) return s.initial;
  return s.initial + (s.final_weight - s.initial) * double(std::clamp<int64_t>(t, 0, s.steps)) / double(s.steps);
}

double kappa_l2_weight(const KappaL2Schedule& s, int64_t t) {
  const int64_t idle = std::clamp<int64_t>(s.no_learning, 0, s.steps);
  if (t < idle) return 0;
  const int64_t active = std::max<int64_t>(s.steps - idle, 1), elapsed = std::clamp<int64_t>(t - idle, 0, active);
  const int64_t stage1 = std::min(s.stage1_steps > 0 ? s.stage1_steps : std::max<int64_t>((active + 1) / 2, 1), active);
  const double a = s.stage1_fraction, z = s.final_fraction;
  if (elapsed <= stage1) return s.base * (a + (1 - a) * (1 - double(elapsed) / double(stage1)));
  return s.base * (z + (a - z) * (1 - double(elapsed - stage1) / double(active - stage1)));
}

}  // namespace kappa
