#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/swiglu/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 8192;

template <class T>
KAPPA_WIDE void forward_range(const T* gate, const T* up, T* h, Range r) {
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) h[i] = T(SwigluPoint<T>(gate[i], up[i]).h());
}

template <class T, bool add>
KAPPA_WIDE void gate_range(const T* gate, const T* up, const T* dh, T* dgate, Range r) {
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) {
    const Wide<T> dg = Wide<T>(dh[i]) * SwigluPoint<T>(gate[i], up[i]).dh_dg();
    dgate[i] = T(add ? Wide<T>(dgate[i]) + dg : dg);
  }
}

template <class T, bool add>
KAPPA_WIDE void up_range(const T* gate, const T* dh, T* dup, Range r) {
#pragma omp simd
  for (int64_t i = r.begin; i < r.end; ++i) {
    const Wide<T> du = Wide<T>(dh[i]) * SwigluPoint<T>(gate[i], 0).dh_du();
    dup[i] = T(add ? Wide<T>(dup[i]) + du : du);
  }
}

}  // namespace

template <class T>
void swiglu_forward(CpuQueue, int64_t n, const T* gate, const T* up, T* h) {
  parallel_ranges(n, grain, [&](Range r) { forward_range(gate, up, h, r); });
}

template <class T>
void swiglu_backward(CpuQueue, int64_t n, const T* gate, const T* up, const SwigluGradients<T>& d) {
  parallel_ranges(n, grain, [&](Range r) {
    if (d.gate) (d.gate.add ? gate_range<T, true> : gate_range<T, false>)(gate, up, d.dh, d.gate.data, r);
    if (d.up) (d.up.add ? up_range<T, true> : up_range<T, false>)(gate, d.dh, d.up.data, r);
  });
}

#define KAPPA_INSTANTIATE(T)                                               \
  template void swiglu_forward(CpuQueue, int64_t, const T*, const T*, T*); \
  template void swiglu_backward(CpuQueue, int64_t, const T*, const T*, const SwigluGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
