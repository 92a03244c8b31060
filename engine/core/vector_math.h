#pragma once
// exp, tanh and the logistic function, written so that a loop over them vectorises: no branches, no calls.
// In float the relative error of exp is below 2e-7, on the CPU and on the GPU; in double the standard library's functions are
// used.

#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/core/element.h"

namespace kappa {

KAPPA_HD inline double fast_exp(double x) { return std::exp(x); }

KAPPA_HD inline float fast_exp(float x) {
  // e^x = 2^n·e^r with |r| ≤ ln 2 / 2; e^r by a polynomial of degree 7 (Cephes' coefficients), 2^n by its exponent bits.
  // n is rounded by adding 1.5·2²³, which leaves it in the low bits: no call, no conversion. The polynomial is evaluated in pairs
  // (Estrin): in a loop its latency, not its operations, is what costs.
  // Beyond ±87 the result is that of ±87. The bound is put to the bits, as integers: of a comparison of floats the compiler makes
  // two cases, the bound's own with all that follows folded into denormal constants, and computes both of every vector.
  constexpr int32_t bound = std::bit_cast<int32_t>(87.0f), infinity = 0x7f800000;
  const int32_t bits = std::bit_cast<int32_t>(x), magnitude = bits & 0x7fffffff;
  const int32_t nan = (infinity - magnitude) >> 31;  // all ones, or none
  x = std::bit_cast<float>((magnitude < bound ? magnitude : bound) | (bits ^ magnitude));
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f, r2 = r * r;
  const float low = 1.6666665459e-1f * r + 5.0000001201e-1f, middle = 8.3334519073e-3f * r + 4.1665795894e-2f;
  const float high = 1.9875691500e-4f * r + 1.3981999507e-3f;
  const float p = ((high * r2 + middle) * r2 + low) * r2 + (r + 1.0f);
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) + 127) << 23);
  return std::bit_cast<float>(std::bit_cast<int32_t>(p * power) | nan);
}

template <class W>
KAPPA_HD inline W fast_tanh(W x) {
  const W e = fast_exp(W(-2) * std::fabs(x));
  return std::copysign((1 - e) / (1 + e), x);
}

/// σ(x) = 1 / (1 + e^−x)
template <class W>
KAPPA_HD inline W logistic(W x) {
  return 1 / (1 + fast_exp(-x));
}

/// What a kernel's arithmetic is made of where it can be had in several accuracies (engine/device/cuda_math.h has another).
struct PreciseMath {
  template <class W>
  static KAPPA_HD W exp(W x) {
    return fast_exp(x);
  }
  template <class W>
  static KAPPA_HD W inverse(W x) {
    return 1 / x;
  }
};

}  // namespace kappa
