// SwiGLU on the GPU: bound by memory. Forward moves 3 elements a gate, backward 5 in one pass.

#include "engine/device/cuda_elementwise.h"
#include "engine/device/cuda_math.h"
#include "engine/ops/swiglu/kernels.h"

namespace kappa {
namespace {

template <class T>
struct Forward {
  const T *gate, *up;
  T* h;

  template <int width>
  __device__ void at(int64_t i) const {
    const auto g = load_pack<width>(gate + i), u = load_pack<width>(up + i);
    Pack<T, width> out;
    for (int j = 0; j < width; ++j) out[j] = T(SwigluPoint<T, MathFor<T>>(g[j], u[j]).h());
    store_pack(h + i, out);
  }
};

template <class T>
struct Backward {
  const T *gate, *up;
  SwigluGradients<T> d;

  template <int width>
  __device__ void at(int64_t i) const {
    const auto g = load_pack<width>(gate + i), u = load_pack<width>(up + i), dh = load_pack<width>(d.dh + i);
    Wide<T> dgate[width], dup[width];
    for (int j = 0; j < width; ++j) {
      const SwigluPoint<T, MathFor<T>> point(g[j], u[j]);
      dgate[j] = Wide<T>(dh[j]) * point.dh_dg();
      dup[j] = Wide<T>(dh[j]) * point.dh_du();
    }
    if (d.gate) put_pack<width>(d.gate, i, dgate);
    if (d.up) put_pack<width>(d.up, i, dup);
  }
};

}  // namespace

template <class T>
void swiglu_forward(GridQueue queue, int64_t n, const T* gate, const T* up, T* h) {
  launch_elementwise<pack_width<T>>("swiglu_forward", queue, n, in_packs<T>(0, gate, up, h), Forward<T>{gate, up, h});
}

template <class T>
void swiglu_backward(GridQueue queue, int64_t n, const T* gate, const T* up, const SwigluGradients<T>& d) {
  launch_elementwise<pack_width<T>>("swiglu_backward", queue, n, in_packs<T>(0, gate, up, d.dh, d.gate.data, d.up.data),
                                    Backward<T>{gate, up, d});
}

#define KAPPA_INSTANTIATE(T)                                                \
  template void swiglu_forward(GridQueue, int64_t, const T*, const T*, T*); \
  template void swiglu_backward(GridQueue, int64_t, const T*, const T*, const SwigluGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
