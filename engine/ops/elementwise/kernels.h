#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

template <class A, class B>
void add_forward(CpuQueue, int64_t n, const A* a, const B* b, A* y);
template <class T>
void multiply_forward(CpuQueue, int64_t n, const T* a, const T* b, T* y);
template <class T>
void relu_squared_forward(CpuQueue, int64_t n, const T* x, T* y);
/// y = α·x + β·x0
template <class T>
void mix_forward(CpuQueue, int64_t n, const T* x, const T* x0, const Wide<T>* alpha, const Wide<T>* beta, T* y);

/// out gets dy.
template <class A, class B>
void pass_backward(CpuQueue, int64_t n, const A* dy, GradOut<B> out);
/// out gets dy·other.
template <class T>
void multiply_backward(CpuQueue, int64_t n, const T* dy, const T* other, GradOut<T> out);
template <class T>
void relu_squared_backward(CpuQueue, int64_t n, const T* dy, const T* x, GradOut<T> out);
/// One operand of mix: out gets factor·dy, factor_out ⟨dy, x⟩.
template <class T>
void mix_backward(CpuQueue, int64_t n, const T* dy, const T* x, const Wide<T>* factor, GradOut<T> out,
                  GradOut<Wide<T>> factor_out);

}  // namespace kappa
