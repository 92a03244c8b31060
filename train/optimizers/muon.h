#pragma once
// Muon with Polar Express coefficients, a second moment by line (NorMuon) and cautious weight decay (spec: training §8).
//
//     M ← M + (1−μ)·(G − M)      U = G + μ·(M − G)      X = U / (1.01·‖U‖_F + 1e-6)
//     five times  X ← aX + (bA + cA²)X,  A = XXᵀ
//     X ← lines of X, each by (its mean square over time)^−½, ‖X‖_F unchanged
//     P ← P − η·X − η·wd·P  where X·P ≥ 0, elsewhere without the decay,  η = lr·scale

#include "engine/ops/orthogonalize/kernels.h"

namespace kappa {

/// One step of all matrices of a batch, in arithmetic A, with iterations in X. False if a parameter is no longer finite.
template <class A, class X, class T, class Queue>
bool muon_step(Queue queue, const MatrixBatch& batch, const LearnedMatrix<T>* matrices, const MatrixRates& rates);

}  // namespace kappa
