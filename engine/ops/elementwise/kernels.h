#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

// The arithmetic of one element; `a` and `b` are the inputs' values, or dy and an input's.
struct Product {
  template <class W>
  static KAPPA_HD W of(W a, W b) {
    return a * b;
  }
};
struct ReluSquared {
  template <class W>
  static KAPPA_HD W of(W a, W) {
    return a > 0 ? a * a : W(0);
  }
};
struct ReluSquaredGradient {
  template <class W>
  static KAPPA_HD W of(W dy, W x) {
    return x > 0 ? 2 * x * dy : W(0);
  }
};

// mix_forward: y = α·x + β·x0.
// pass_backward: out gets dy; multiply_backward: dy·other.
// mix_backward, of one operand: out gets factor·dy, factor_out ⟨dy, x⟩.
#define KAPPA_DECLARE(Queue)                                                                                    \
  template <class A, class B>                                                                                   \
  void add_forward(Queue, int64_t n, const A* a, const B* b, A* y);                                             \
  template <class T>                                                                                            \
  void multiply_forward(Queue, int64_t n, const T* a, const T* b, T* y);                                        \
  template <class T>                                                                                            \
  void relu_squared_forward(Queue, int64_t n, const T* x, T* y);                                                \
  template <class T>                                                                                            \
  void mix_forward(Queue, int64_t n, const T* x, const T* x0, const Wide<T>* alpha, const Wide<T>* beta, T* y); \
  template <class A, class B>                                                                                   \
  void pass_backward(Queue, int64_t n, const A* dy, GradOut<B> out);                                            \
  template <class T>                                                                                            \
  void multiply_backward(Queue, int64_t n, const T* dy, const T* other, GradOut<T> out);                        \
  template <class T>                                                                                            \
  void relu_squared_backward(Queue, int64_t n, const T* dy, const T* x, GradOut<T> out);                        \
  template <class T>                                                                                            \
  void mix_backward(Queue, int64_t n, const T* dy, const T* x, const Wide<T>* factor, GradOut<T> out,           \
                    GradOut<Wide<T>> factor_out);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
