#pragma once
// Aurora: the polar factor of the momentum, with the lines of a matrix that is not square brought to one length first (spec:
// training §9).
//
//     M ← M + (1−μ)·(G − M)      U = G + μ·(M − G)
//     square:  O = polar(U)
//     else, with rows along the longer axis and τ = n/m:
//         D₀ = diag(1/‖u_i‖)      O₁ = polar(D₀·U)      D₁ = D₀·(τ/‖o_i‖²)^½      O = polar(D₁·U)
//     P ← P·(1 − lr·wd) − lr·scale·O
//
// polar(X) starts from X/(‖X‖_F + 1e-7) and applies X ← 2X + (−1.5A + 0.5A²)X, A = XXᵀ, five times. It is not run to convergence:
// a small singular value grows at most by 2⁵.

#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {

/// Aurora's momentum; no schedule moves it.
constexpr double aurora_momentum = 0.95;

/// One step of all matrices of a batch, in arithmetic A, with iterations in X. False if a parameter is no longer finite.
template <class A, class X, class T, class Queue>
bool aurora_step(Queue queue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const MatrixRates& rates);

}  // namespace kappa
