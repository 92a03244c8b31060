#pragma once
// Matrix products on the GPU and on the host's model of it: the interface of gemm.h for the other queues.
//
// On the GPU they are cuBLASLt's (cublas_gemm.cpp): products in the type of A and B on tensor cores, sums in float32, C rounded
// once; the algorithm for a shape is chosen once and kept (gemm_plans.h). The tiled kernel is written to be read: what cuBLASLt
// is held against on the GPU, and what stands in for it on the host.

#include "engine/device/gemm.h"

namespace kappa {

/// From now on the tiled kernel computes the GPU's products, too: for tools that look at every access, and for comparison.
void use_tiled_products();

template <class T, class C>
void gemm(EmulatedQueue, const GemmShape& shape, const T* a, const T* b, GradOut<C> c);
template <class T, class C>
void gemm(CudaQueue, const GemmShape& shape, const T* a, const T* b, GradOut<C> c);

/// The same by a kernel of ours. Sums over k are carried in Wide<T>, in order.
template <class T, class C>
void tiled_gemm(EmulatedQueue, const GemmShape& shape, const T* a, const T* b, GradOut<C> c);
template <class T, class C>
void tiled_gemm(CudaQueue, const GemmShape& shape, const T* a, const T* b, GradOut<C> c);

}  // namespace kappa
