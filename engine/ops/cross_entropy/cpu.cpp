#include <cmath>

#include "engine/core/vector_math.h"
#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/cross_entropy/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 8192;   // elements
constexpr int64_t row_grain = 4;  // rows

template <class W>
KAPPA_WIDE void cap_range(W* z, Range r) {
  constexpr W cap = W(logit_cap), inverse = 1 / cap;
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) z[i] = cap * fast_tanh(z[i] * inverse);
}

template <class W>
KAPPA_WIDE W sum_of_exponentials(const W* y, int64_t n) {
  W sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t v = 0; v < n; ++v) sum += fast_exp(y[v]);
  return sum;
}

template <class T>
KAPPA_WIDE void gradient_row(const Wide<T>* y, int64_t n, Wide<T> log_sum, Wide<T> dloss, T* dz) {
  using W = Wide<T>;
  constexpr W inverse = W(1 / logit_cap);
#pragma omp simd
  for (int64_t v = 0; v < n; ++v) {
    const W capped = y[v] * inverse;
    dz[v] = T(dloss * fast_exp(y[v] - log_sum) * (1 - capped * capped));
  }
}

}  // namespace

template <class W>
void softcap(CpuQueue, int64_t n, W* z) {
  parallel_ranges(n, grain, [&](Range r) { cap_range(z, r); });
}

template <class W>
void softmax_losses(CpuQueue, const LogitRows<W>& in, W* losses) {
  parallel_ranges(in.rows, row_grain, [&](Range r) {
    for (int64_t i = r.begin; i < r.end; ++i) {
      const W* y = in.logits + i * in.vocabulary;
      in.log_sums[i] = std::log(sum_of_exponentials(y, in.vocabulary));
      losses[i] = in.targets[i] < 0 ? W(0) : in.log_sums[i] - y[in.targets[i]];
    }
  });
}

template <class T>
void softmax_gradients(CpuQueue, const LogitRows<Wide<T>>& in, const Wide<T>* dlosses, T* dz) {
  using W = Wide<T>;
  parallel_ranges(in.rows, row_grain, [&](Range r) {
    for (int64_t i = r.begin; i < r.end; ++i) {
      const W* y = in.logits + i * in.vocabulary;
      T* out = dz + i * in.vocabulary;
      const int32_t target = in.targets[i];
      const W dloss = target < 0 ? W(0) : dlosses[i];
      const W at_target = target < 0 ? W(0) : y[target] * W(1 / logit_cap);
      gradient_row(y, in.vocabulary, in.log_sums[i], dloss, out);
      if (target >= 0) out[target] = T(W(out[target]) - dloss * (1 - at_target * at_target));
    }
  });
}

template void softcap(CpuQueue, int64_t, double*);
template void softcap(CpuQueue, int64_t, float*);
template void softmax_losses(CpuQueue, const LogitRows<double>&, double*);
template void softmax_losses(CpuQueue, const LogitRows<float>&, float*);
template void softmax_gradients(CpuQueue, const LogitRows<double>&, const double*, double*);
template void softmax_gradients(CpuQueue, const LogitRows<float>&, const float*, float*);
template void softmax_gradients(CpuQueue, const LogitRows<float>&, const float*, bfloat16*);

}  // namespace kappa
