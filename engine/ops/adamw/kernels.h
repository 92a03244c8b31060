#pragma once
// One AdamW update (spec: training §7), for update number c = 1, 2, … of a tensor:
//
//     p ← p·(1 − lr·wd)      m ← m + (1−β1)·(g − m)      v ← v + (1−β2)·(g² − v)
//     p ← p − lr/(1−β1^c) · m / (√(v/(1−β2^c)) + eps)

#include <cmath>

#include "engine/core/each_op.h"
#include "engine/core/queue.h"

namespace kappa {

struct AdamWRates {
  double lr, beta1, beta2, eps, weight_decay = 0;
};

/// T: how parameter, gradient and moments are stored.
template <class T>
struct AdamWArrays {
  int64_t n;
  const T* gradient;                // [n] g
  T* parameter;                     // [n] p
  T *first_moment, *second_moment;  // [n] m, v
};

/// The arithmetic of one element, in W; its factors are computed in double and rounded once.
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

  KAPPA_HD W first_moment(W m, W g) const { return lerp(m, g, gain1); }
  KAPPA_HD W second_moment(W v, W g) const { return lerp(v, g * g, gain2); }
  KAPPA_HD W parameter(W p, W m, W v) const {
    using std::sqrt;
    return p * decay - step * m / (sqrt(v * unbias2) + eps);
  }
};

/// Update number `update`, from 1. A: the arithmetic, Wide<T>, or EachOp of bfloat16. False if parameter or moments now hold a
/// value that is not finite; so does every place that got one.
template <class A, class T>
bool adamw_step(CpuQueue, const AdamWArrays<T>& arrays, const AdamWRates& rates, int64_t update);

}  // namespace kappa
