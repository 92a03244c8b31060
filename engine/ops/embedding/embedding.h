#pragma once
// Rows of a table: y[b, t] = weight[ids[b, t]]. The gradient of a row is the sum of dy over the tokens that took it, in the order
// of the tokens.

#include "engine/tensor/tensor.h"

namespace kappa {

/// [B, T, C] in the type of `weight` [V, C], a parameter with a wide gradient; `ids` [B, T] is int32.
/// Throws InputError at the first id outside of [0, V).
Tensor embedding(const Tensor& weight, const Tensor& ids);

}  // namespace kappa
