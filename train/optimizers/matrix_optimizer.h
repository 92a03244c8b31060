#pragma once
// Who updates the matrices of the blocks (spec: training §8, §9), and how bfloat16 is rounded on the way.

#include <cstdint>

#include "engine/core/each_op.h"

namespace kappa {

enum class MatrixOptimizer : uint8_t { aurora, muon };

/// Where updates of bfloat16 parameters round: once, where a value is stored, as the compiled kernels of the paper's code do; or
/// in every operation, as they read (spec: training A4).
enum class OptimizerRounding : uint8_t { once, each_op };

/// Calls body(A{}) with the arithmetic of an update of parameters stored as T.
template <class T, class Body>
void with_arithmetic(OptimizerRounding rounding, Body&& body) {
  if constexpr (std::is_same_v<T, bfloat16>)
    if (rounding == OptimizerRounding::each_op) return body(EachOp{});
  body(Wide<T>{});
}

}  // namespace kappa
