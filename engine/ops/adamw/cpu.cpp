#include <atomic>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/adamw/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 16384;  // elements

template <class A, class T>
KAPPA_WIDE bool update_range(const AdamWArrays<T>& arrays, AdamWElement<A> element, Range r) {
  using W = Wide<T>;
  const T* const gradient = arrays.gradient;
  T *const parameter = arrays.parameter, *const first = arrays.first_moment, *const second = arrays.second_moment;
  W residue = 0;  // 0·y summed over all y stored: 0, or NaN if one of them is not finite
#pragma omp simd reduction(+ : residue)
  for (int64_t i = r.begin; i < r.end; ++i) {
    const A g(gradient[i]), m = element.first_moment(A(first[i]), g), v = element.second_moment(A(second[i]), g);
    const A p = element.parameter(A(parameter[i]), m, v);
    parameter[i] = T(p), first[i] = T(m), second[i] = T(v);
    residue += 0 * W(p) + 0 * W(m) + 0 * W(v);
  }
  return residue == 0;
}

}  // namespace

template <class A, class T>
bool adamw_step(CpuQueue, const AdamWArrays<T>& arrays, const AdamWRates& rates, int64_t update) {
  const AdamWElement<A> element(rates, update);
  std::atomic<bool> finite = true;
  parallel_ranges(arrays.n, grain, [&](Range r) {
    if (!update_range(arrays, element, r)) finite = false;
  });
  return finite;
}

template bool adamw_step<double>(CpuQueue, const AdamWArrays<double>&, const AdamWRates&, int64_t);
template bool adamw_step<float>(CpuQueue, const AdamWArrays<float>&, const AdamWRates&, int64_t);
template bool adamw_step<float>(CpuQueue, const AdamWArrays<bfloat16>&, const AdamWRates&, int64_t);
template bool adamw_step<EachOp>(CpuQueue, const AdamWArrays<bfloat16>&, const AdamWRates&, int64_t);

}  // namespace kappa
