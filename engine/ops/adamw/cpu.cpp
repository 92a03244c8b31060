#include <atomic>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/adamw/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 16384;  // elements

template <class W>
KAPPA_WIDE bool update_range(const AdamWArrays<W>& arrays, AdamWElement<W> element, Range r) {
  const W* const gradient = arrays.gradient;
  W *const parameter = arrays.parameter, *const first = arrays.first_moment, *const second = arrays.second_moment;
  W residue = 0;  // 0·y summed over all y stored: 0, or NaN if one of them is not finite
#pragma omp simd reduction(+ : residue)
  for (int64_t i = r.begin; i < r.end; ++i) {
    const W g = gradient[i], m = element.first_moment(first[i], g), v = element.second_moment(second[i], g);
    const W p = element.parameter(parameter[i], m, v);
    parameter[i] = p, first[i] = m, second[i] = v;
    residue += 0 * p + 0 * m + 0 * v;
  }
  return residue == 0;
}

}  // namespace

template <class W>
bool adamw_step(CpuQueue, const AdamWArrays<W>& arrays, const AdamWRates& rates, int64_t update) {
  const AdamWElement<W> element(rates, update);
  std::atomic<bool> finite = true;
  parallel_ranges(arrays.n, grain, [&](Range r) {
    if (!update_range(arrays, element, r)) finite = false;
  });
  return finite;
}

template bool adamw_step(CpuQueue, const AdamWArrays<double>&, const AdamWRates&, int64_t);
template bool adamw_step(CpuQueue, const AdamWArrays<float>&, const AdamWRates&, int64_t);

}  // namespace kappa
