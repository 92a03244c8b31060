#pragma once
#include <cstdint>

namespace kappa {

/// How many of the layer's input channels the gate of the value embeddings looks at (spec: model, §3 Attention).
constexpr int64_t value_gate_channels = 32;

}  // namespace kappa
