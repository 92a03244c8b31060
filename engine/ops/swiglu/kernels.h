#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/core/vector_math.h"

namespace kappa {

/// The gate at one unit, with its derivatives.
template <class T, class Math = PreciseMath>
struct SwigluPoint {
  using W = Wide<T>;
  W g, u, sigma;

  KAPPA_HD SwigluPoint(W gate, W up) : g(gate), u(up), sigma(Math::inverse(1 + Math::exp(-gate))) {}
  KAPPA_HD W h() const { return g * sigma * u; }
  KAPPA_HD W dh_du() const { return g * sigma; }
  KAPPA_HD W dh_dg() const { return u * (sigma + g * sigma * (1 - sigma)); }
};

template <class T>
struct SwigluGradients {
  const T* dh;          // [n]
  GradOut<T> gate, up;  // [n]
};

#define KAPPA_DECLARE(Queue)                                               \
  template <class T>                                                       \
  void swiglu_forward(Queue, int64_t n, const T* gate, const T* up, T* h); \
  template <class T>                                                       \
  void swiglu_backward(Queue, int64_t n, const T* gate, const T* up, const SwigluGradients<T>&);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
