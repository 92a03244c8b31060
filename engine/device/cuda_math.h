#pragma once
// Exponentials and reciprocals for kernels whose results are stored in bfloat16: the GPU's own approximations (relative error of
// exp below 2⁻²¹, of the reciprocal below 2⁻²²), which cost one instruction each and are lost in the store's 2⁻⁹. What is stored
// in float32 or float64 uses PreciseMath. On the host there is nothing to approximate with, and both are the same.

#include <type_traits>

#include "engine/core/vector_math.h"
#include "engine/device/cuda_grid.h"

namespace kappa {

struct ApproximateMath {
  static __device__ inline float exp(float x) {
#ifdef __CUDA_ARCH__
    // Not beyond 2¹²⁶: infinity times its reciprocal, which is 0, would be NaN where e^x/(1 + e^x) is asked for. NaN stays NaN.
    float y;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(x * 1.44269504f), "f"(126.0f));
    asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(y));
    return y;
#else
    return fast_exp(x);
#endif
  }
  static __device__ inline float inverse(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1 / x;
#endif
  }
};

/// What kernels that store T compute with.
template <class T>
using MathFor = std::conditional_t<std::is_same_v<T, bfloat16>, ApproximateMath, PreciseMath>;

}  // namespace kappa
