#include "engine/core/wide.h"
#include "engine/device/block_sum.h"
#include "engine/ops/elementwise/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 16384;

template <class Op, class T, bool accumulate>
KAPPA_WIDE void apply_range(const T* a, const T* b, T* out, Range r) {
  using W = Wide<T>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) {
    const W value = Op::of(W(a[i]), W(b[i]));
    out[i] = T(accumulate ? W(out[i]) + value : value);
  }
}

template <class Op, class T>
void apply(int64_t n, const T* a, const T* b, GradOut<T> out) {
  if (!out) return;
  parallel_ranges(n, grain,
                  [&](Range r) { (out.add ? apply_range<Op, T, true> : apply_range<Op, T, false>)(a, b, out.data, r); });
}

template <class A, class B>
KAPPA_WIDE void add_range(const A* a, const B* b, A* y, Range r) {
  using W = Wide<A>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) y[i] = A(W(a[i]) + W(b[i]));
}

template <class A, class B, bool accumulate>
KAPPA_WIDE void pass_range(const A* dy, B* out, Range r) {
  using W = Wide<A>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) out[i] = B(accumulate ? W(out[i]) + W(dy[i]) : W(dy[i]));
}

template <class T, bool accumulate>
KAPPA_WIDE void scale_range(const T* x, Wide<T> factor, T* out, Range r) {
  using W = Wide<T>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) out[i] = T(accumulate ? W(out[i]) + factor * W(x[i]) : factor * W(x[i]));
}

template <class T>
KAPPA_WIDE void mix_range(const T* x, const T* x0, Wide<T> alpha, Wide<T> beta, T* y, Range r) {
  using W = Wide<T>;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) y[i] = T(alpha * W(x[i]) + beta * W(x0[i]));
}

template <class T>
KAPPA_WIDE double dot_range(const T* a, const T* b, Range r) {
  using W = Wide<T>;
  W sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = r.begin; i < r.end; ++i) sum += W(a[i]) * W(b[i]);
  return sum;
}

}  // namespace

template <class A, class B>
void add_forward(CpuQueue, int64_t n, const A* a, const B* b, A* y) {
  parallel_ranges(n, grain, [&](Range r) { add_range(a, b, y, r); });
}
template <class T>
void multiply_forward(CpuQueue, int64_t n, const T* a, const T* b, T* y) {
  apply<Product>(n, a, b, GradOut<T>{y});
}
template <class T>
void relu_squared_forward(CpuQueue, int64_t n, const T* x, T* y) {
  apply<ReluSquared>(n, x, x, GradOut<T>{y});
}
template <class T>
void mix_forward(CpuQueue, int64_t n, const T* x, const T* x0, const Wide<T>* alpha, const Wide<T>* beta, T* y) {
  parallel_ranges(n, grain, [&](Range r) { mix_range(x, x0, *alpha, *beta, y, r); });
}

template <class A, class B>
void pass_backward(CpuQueue, int64_t n, const A* dy, GradOut<B> out) {
  if (!out) return;
  parallel_ranges(n, grain, [&](Range r) { (out.add ? pass_range<A, B, true> : pass_range<A, B, false>)(dy, out.data, r); });
}
template <class T>
void multiply_backward(CpuQueue, int64_t n, const T* dy, const T* other, GradOut<T> out) {
  apply<Product>(n, dy, other, out);
}
template <class T>
void relu_squared_backward(CpuQueue, int64_t n, const T* dy, const T* x, GradOut<T> out) {
  apply<ReluSquaredGradient>(n, dy, x, out);
}
template <class T>
void mix_backward(CpuQueue, int64_t n, const T* dy, const T* x, const Wide<T>* factor, GradOut<T> out,
                  GradOut<Wide<T>> factor_out) {
  if (factor_out) factor_out.put(0, Wide<T>(block_sum(n, [&](Range r) { return dot_range(dy, x, r); })));
  if (out)
    parallel_ranges(n, grain,
                    [&](Range r) { (out.add ? scale_range<T, true> : scale_range<T, false>)(dy, *factor, out.data, r); });
}

#define KAPPA_INSTANTIATE(T)                                                                            \
  template void multiply_forward(CpuQueue, int64_t, const T*, const T*, T*);                            \
  template void relu_squared_forward(CpuQueue, int64_t, const T*, T*);                                  \
  template void mix_forward(CpuQueue, int64_t, const T*, const T*, const Wide<T>*, const Wide<T>*, T*); \
  template void multiply_backward(CpuQueue, int64_t, const T*, const T*, GradOut<T>);                   \
  template void relu_squared_backward(CpuQueue, int64_t, const T*, const T*, GradOut<T>);               \
  template void mix_backward(CpuQueue, int64_t, const T*, const T*, const Wide<T>*, GradOut<T>, GradOut<Wide<T>>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_ADD(A, B)                                     \
  template void add_forward(CpuQueue, int64_t, const A*, const B*, A*); \
  template void pass_backward(CpuQueue, int64_t, const A*, GradOut<B>);
KAPPA_INSTANTIATE_ADD(double, double)
KAPPA_INSTANTIATE_ADD(float, float)
KAPPA_INSTANTIATE_ADD(bfloat16, bfloat16)
KAPPA_INSTANTIATE_ADD(float, bfloat16)

}  // namespace kappa
