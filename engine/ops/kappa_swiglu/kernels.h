#pragma once
// What the kernels of all devices share: their arguments and the arithmetic of one element. No tensors, no tape.

#include "engine/core/grad_out.h"
#include "engine/core/vector_math.h"
#include "engine/device/queue.h"

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

/// The gate at one (expert, slot, unit), with its derivatives. 1 − t² and 1 − σ are formed without cancellation.
template <class T>
struct KappaGatePoint {
  using W = Wide<T>;
  W g, u, kappa, sigma, sigma_rest, dkappa_dz;  // sigma_rest = 1 − σ

  KAPPA_HD KappaGatePoint(W gate, W up, W z, W log_slope_max) : g(gate), u(up) {
    const W e = fast_exp(W(-2) * std::fabs(z)), inverse = 1 / (1 + e);
    const W t = std::copysign((1 - e) * inverse, z);
    kappa = W(T(fast_exp(log_slope_max * t)));  // rounded to the compute type, as the reference does
    const W tail = fast_exp(-kappa * g);
    sigma = 1 / (1 + tail);
    sigma_rest = tail * sigma;
    dkappa_dz = kappa * log_slope_max * (4 * e * inverse * inverse);
  }
  KAPPA_HD W h() const { return g * sigma * u; }
  KAPPA_HD W dh_du() const { return g * sigma; }
  KAPPA_HD W dh_dg() const { return u * (sigma + kappa * g * sigma * sigma_rest); }
  KAPPA_HD W dh_dz() const { return u * g * g * sigma * sigma_rest * dkappa_dz; }
};

template <class T>
void kappa_swiglu_forward(CpuQueue, const KappaGateValues<T>&, T* h);
template <class T>
void kappa_swiglu_backward(CpuQueue, const KappaGateValues<T>&, const KappaGateGradients<T>&);

}  // namespace kappa
