#include "engine/device/few_rows.h"

#include <algorithm>

#include "engine/core/wide.h"

namespace kappa {
namespace {

/// b [n, k]: every element of c is the inner product of two rows. Four at a time: one sum alone would wait for itself.
template <class T>
KAPPA_WIDE void multiply_by_rows(const FewRows<T>& p) {
  using W = Wide<T>;
  int64_t j = 0;
  for (; j + 4 <= p.n; j += 4) {
    const T *b0 = p.b + j * p.b_stride, *b1 = b0 + p.b_stride, *b2 = b1 + p.b_stride, *b3 = b2 + p.b_stride;
    for (int64_t i = 0; i < p.m; ++i) {
      const W* const a = p.a + i * p.a_stride;
      W s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
      for (int64_t x = 0; x < p.k; ++x) {
        s0 += a[x] * W(b0[x]);
        s1 += a[x] * W(b1[x]);
        s2 += a[x] * W(b2[x]);
        s3 += a[x] * W(b3[x]);
      }
      W* const c = p.c + i * p.c_stride + j;
      c[0] = s0, c[1] = s1, c[2] = s2, c[3] = s3;
    }
  }
  for (; j < p.n; ++j)
    for (int64_t i = 0; i < p.m; ++i) {
      const W* const a = p.a + i * p.a_stride;
      const T* const b = p.b + j * p.b_stride;
      W sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t x = 0; x < p.k; ++x) sum += a[x] * W(b[x]);
      p.c[i * p.c_stride + j] = sum;
    }
}

/// b [k, n]: every row of c is a sum of rows of b. Columns are cut so that the sums stay in the L1 cache.
template <class T>
KAPPA_WIDE void multiply_by_columns(const FewRows<T>& p) {
  using W = Wide<T>;
  constexpr int64_t width = 1024;
  for (int64_t i = 0; i < p.m; ++i) std::fill_n(p.c + i * p.c_stride, p.n, W(0));
  for (int64_t first = 0; first < p.n; first += width) {
    const int64_t columns = p.n - first < width ? p.n - first : width;
    int64_t x = 0;
    for (; x + 4 <= p.k; x += 4) {
      const T *b0 = p.b + x * p.b_stride + first, *b1 = b0 + p.b_stride, *b2 = b1 + p.b_stride, *b3 = b2 + p.b_stride;
      for (int64_t i = 0; i < p.m; ++i) {
        const W* const a = p.a + i * p.a_stride + x;
        const W a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
        W* const c = p.c + i * p.c_stride + first;
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) c[j] += (a0 * W(b0[j]) + a1 * W(b1[j])) + (a2 * W(b2[j]) + a3 * W(b3[j]));
      }
    }
    for (; x < p.k; ++x)
      for (int64_t i = 0; i < p.m; ++i) {
        const W a = p.a[i * p.a_stride + x];
        const T* const b = p.b + x * p.b_stride + first;
        W* const c = p.c + i * p.c_stride + first;
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) c[j] += a * W(b[j]);
      }
  }
}

}  // namespace

template <class T>
void multiply_few_rows(const FewRows<T>& p) {
  if (p.transpose_b)
    multiply_by_rows(p);
  else
    multiply_by_columns(p);
}

template void multiply_few_rows(const FewRows<double>&);
template void multiply_few_rows(const FewRows<float>&);
template void multiply_few_rows(const FewRows<bfloat16>&);

}  // namespace kappa
