#pragma once
// What the kernels of all devices share: their arguments and the arithmetic of one element. No tensors, no tape.

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/core/vector_math.h"

namespace kappa {

struct GateExtents {
  int64_t experts, slots, units;  // E, S, F
};

template <class T>
struct KappaGateValues {
  GateExtents n;
  const T* gate;              // [E, S, F]
  const T* up;                // [E, S, F]
  const Wide<T>* bias;        // [E, F]
  const Wide<T>* slope_max;   // [1]
  const Wide<T>* confidence;  // [E, S], or null with `scale`
  const Wide<T>* scale;       // [E, F]
};

template <class T>
struct KappaGateGradients {
  const T* dh;                   // [E, S, F]
  GradOut<T> gate, up;           // [E, S, F]
  GradOut<Wide<T>> bias, scale;  // [E, F]
  GradOut<Wide<T>> confidence;   // [E, S]
};

/// tanh z, the exponent of κ = U^tanh z, and 1 − tanh² z, formed without cancellation.
template <class W, class Math = PreciseMath>
struct KappaExponent {
  W t, rest;

  KAPPA_HD explicit KappaExponent(W z) {
    const W e = Math::exp(W(-2) * std::fabs(z)), inverse = Math::inverse(1 + e);
    t = std::copysign((1 - e) * inverse, z);
    rest = 4 * e * inverse * inverse;
  }
};

/// κ, rounded to the compute type T as the reference does.
template <class T, class Math = PreciseMath>
KAPPA_HD inline Wide<T> kappa_of(Wide<T> t, Wide<T> log_slope_max) {
  return Wide<T>(T(Math::exp(log_slope_max * t)));
}

/// The gate at one (expert, slot, unit) whose κ is known, with its derivatives.
template <class W, class Math = PreciseMath>
struct KappaGatePoint {
  W g, u, kappa, sigma, sigma_rest;  // σ(κ·g) and 1 − σ, formed without cancellation

  KAPPA_HD KappaGatePoint(W gate, W up, W slope) : g(gate), u(up), kappa(slope) {
    const W tail = Math::exp(-kappa * g);
    sigma = Math::inverse(1 + tail);
    sigma_rest = tail * sigma;
  }
  KAPPA_HD W h() const { return g * sigma * u; }
  KAPPA_HD W dh_du() const { return g * sigma; }
  KAPPA_HD W dh_dg() const { return u * (sigma + kappa * g * sigma * sigma_rest); }
  KAPPA_HD W dh_dkappa() const { return u * g * g * sigma * sigma_rest; }
};

#define KAPPA_DECLARE(Queue)                                         \
  template <class T>                                                 \
  void kappa_swiglu_forward(Queue, const KappaGateValues<T>&, T* h); \
  template <class T>                                                 \
  void kappa_swiglu_backward(Queue, const KappaGateValues<T>&, const KappaGateGradients<T>&);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
