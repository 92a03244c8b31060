#pragma once
// First values of the matrices (spec: model §1).

#include <cmath>

#include "engine/nn/parameter.h"
#include "model/config.h"

namespace kappa {

/// Uniform with the deviation 1/√C, whatever the matrix's own size.
inline Init matrix_init(const ModelConfig& config) { return Init::uniform(std::sqrt(3.0 / double(config.n_embd))); }

/// Uniform in ±1/√C. (The reference never initialises its routers; spec: training A1.)
inline Init router_init(const ModelConfig& config) { return Init::uniform(1 / std::sqrt(double(config.n_embd))); }

}  // namespace kappa
