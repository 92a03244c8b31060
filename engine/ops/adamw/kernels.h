#pragma once
// One AdamW update (spec: training §7), for update number c = 1, 2, … of a tensor:
//
//     p ← p·(1 − lr·wd)      m ← m + (1−β1)·(g − m)      v ← v + (1−β2)·(g² − v)
//     p ← p − lr/(1−β1^c) · m / (√(v/(1−β2^c)) + eps)

#include <cmath>

#include "engine/core/element.h"
#include "engine/core/queue.h"

namespace kappa {

struct AdamWRates {
  double lr, beta1, beta2, eps, weight_decay = 0;
};

template <class W>
struct AdamWArrays {
  int64_t n;
  const W* gradient;                // [n] g
  W* parameter;                     // [n] p
  W *first_moment, *second_moment;  // [n] m, v
};

/// The arithmetic of one element; its factors are computed in double and rounded once.
template <class W>
struct AdamWElement {
  W decay, gain1, gain2, step, unbias2, eps;

  AdamWElement(const AdamWRates& r, int64_t update)
      : decay(W(1 - r.lr * r.weight_decay)),
        gain1(W(1 - r.beta1)),
        gain2(W(1 - r.beta2)),
        step(W(r.lr / (1 - std::pow(r.beta1, double(update))))),
        unbias2(W(1 / (1 - std::pow(r.beta2, double(update))))),
        eps(W(r.eps)) {}

  KAPPA_HD W first_moment(W m, W g) const { return m + gain1 * (g - m); }
  KAPPA_HD W second_moment(W v, W g) const { return v + gain2 * (g * g - v); }
  KAPPA_HD W parameter(W p, W m, W v) const { return p * decay - step * m / (std::sqrt(v * unbias2) + eps); }
};

/// Update number `update`, from 1. False if parameter or moments now hold a value that is not finite; so does every place that
/// got one.
template <class W>
bool adamw_step(CpuQueue, const AdamWArrays<W>& arrays, const AdamWRates& rates, int64_t update);

}  // namespace kappa
