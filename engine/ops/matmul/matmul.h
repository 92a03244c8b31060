#pragma once
// The two products of the model: a linear layer, and one matrix for each expert. Their kernel is gemm (engine/device/gemm.h).

#include "engine/tensor/tensor.h"

namespace kappa {

/// y = x·Wᵀ: x [..., K], W [N, K] → y [..., N].    dx = dy·W    dW = dyᵀ·x
Tensor linear(const Tensor& x, const Tensor& weight);

/// y_e = x_e·W_e: x [E, S, K], W [E, K, N] → y [E, S, N].    dx_e = dy_e·W_eᵀ    dW_e = x_eᵀ·dy_e
Tensor expert_matmul(const Tensor& x, const Tensor& weight);

/// The same for some of the experts: x [E', S, K], experts [E'] int32 in [0, E) → y [E', S, N]. Not recorded.
Tensor some_experts_matmul(const Tensor& x, const Tensor& weight, const Tensor& experts);

}  // namespace kappa
