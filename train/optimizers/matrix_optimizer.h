#pragma once
// Who updates the matrices of the blocks (spec: training §8, §9).

#include <cstdint>

namespace kappa {

enum class MatrixOptimizer : uint8_t { aurora, muon };

}  // namespace kappa
