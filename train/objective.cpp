#include "train/objective.h"

#include "engine/ops/scalars/scalars.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

std::array<NamedTerm, 7> named_terms(const LossTerms& t, const LossWeights& w) {
  return {{{"ntp_loss", t.ntp, 1},
           {"aux_loss", t.aux, w.aux},
           {"router_z_loss", t.router_z, w.router_z},
           {"kappa_bias_l2_loss", t.kappa_bias_l2, w.kappa_bias},
           {"kappa_scale_l2_loss", t.kappa_scale_l2, w.kappa_scale},
           {"kappa_bias_ema_rms_reg_loss", t.kappa_bias_floor, w.kappa_bias},
           {"kappa_scale_ema_rms_reg_loss", t.kappa_scale_floor, w.kappa_scale}}};
}

Tensor objective(const LossTerms& terms, const LossWeights& weights, double factor) {
  Tensors values;
  std::vector<double> factors;
  for (const NamedTerm& term : named_terms(terms, weights))
    if (term.value) values.push_back(term.value), factors.push_back(factor * term.weight);
  const Tensor device_weights = Tensor::empty({int64_t(values.size())}, terms.ntp.dtype(), terms.ntp.device());
  dispatch_wide("objective", device_weights, [&]<class W>(W, CpuQueue) {
    for (size_t i = 0; i < factors.size(); ++i) device_weights.data<W>()[i] = W(factors[i]);
  });
  return weighted_sum(values, device_weights);
}

}  // namespace kappa
