#include "engine/core/wide.h"
#include "engine/device/gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int64_t grain = 16384;

/// to = main + scale·z
template <class W>
KAPPA_WIDE void mix_range(const W* main, const W* z, W scale, W* to, Range r) {
  if (main && z)
    for (int64_t i = r.begin; i < r.end; ++i) to[i] = main[i] + scale * z[i];
  else if (main)
    for (int64_t i = r.begin; i < r.end; ++i) to[i] = main[i];
  else
    for (int64_t i = r.begin; i < r.end; ++i) to[i] = scale * z[i];
}

KAPPA_WIDE void widen_range(const bfloat16* from, float* to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to[i] = from[i];
}
KAPPA_WIDE void put_range(const float* from, GradOut<bfloat16> to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to.put(i, from[i]);
}

/// A matrix of T as one of Wide<T>: itself, or a copy.
template <class T>
class Widened {
 public:
  Widened(CpuQueue, const T* values, int64_t) : values_(values) {}
  operator const T*() const { return values_; }

 private:
  const T* values_;
};
template <>
class Widened<bfloat16> {
 public:
  Widened(CpuQueue queue, const bfloat16* values, int64_t n) : copy_(queue, n) {
    parallel_ranges(n, grain, [&](Range r) { widen_range(values, copy_, r); });
  }
  operator const float*() const { return copy_; }

 private:
  Scratch<float> copy_;
};

/// to gets a·b, rounded once; [m, k]·[k, n].
template <class W, class T>
void multiply_into(CpuQueue queue, const GemmShape& shape, const W* a, const W* b, GradOut<T> to) {
  if constexpr (std::is_same_v<W, T>) {
    gemm(queue, shape, a, b, to);
  } else {
    const Scratch<W> product(queue, shape.m * shape.n);
    gemm(queue, shape, a, b, GradOut<W>{product});
    parallel_ranges(shape.m * shape.n, grain, [&](Range r) { put_range(product, to, r); });
  }
}

template <class W>
KAPPA_WIDE void noise_range(const RouterNoiseValues<W>& v, const W* logits, W* noisy, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) noisy[i] = logits[i] + softplus(v.scale_logits[i]) * v.normal[i];
}
template <class W>
KAPPA_WIDE void pass_range(const W* gradient, GradOut<W> to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) to.put(i, gradient[i]);
}
template <class W>
KAPPA_WIDE void noise_scale_range(const RouterNoiseValues<W>& v, const W* main, const W* z, GradOut<W> to, Range r) {
  for (int64_t i = r.begin; i < r.end; ++i) {
    const W d = (main ? main[i] : W(0)) + (z ? z[i] : W(0));
    to.put(i, d * v.normal[i] * logistic(v.scale_logits[i]));
  }
}

}  // namespace

template <class T>
void router_logits_forward(CpuQueue queue, const RouterLogitValues<T>& v, Wide<T>* logits) {
  const GemmShape shape{.m = v.n.tokens, .n = v.n.experts, .k = v.n.channels, .transpose_b = true};
  gemm(queue, shape, v.x, v.weight, GradOut<Wide<T>>{logits});
}

// The gradients of the logits are wide, so the products are taken in the wide type.
template <class T>
void router_logits_backward(CpuQueue queue, const RouterLogitValues<T>& v, const RouterLogitGradients<T>& d) {
  using W = Wide<T>;
  const auto [tokens, experts, channels] = v.n;
  const Scratch<W> mixed(queue, tokens * experts);
  const auto mix = [&, n = tokens * experts](W z_scale) {
    parallel_ranges(n, grain, [&](Range r) { mix_range<W>(d.main, d.z, z_scale, mixed, r); });
  };
  if (d.weight) {
    mix(1);
    const Widened<T> x(queue, v.x, tokens * channels);
    gemm<W, W>(queue, {.m = experts, .n = channels, .k = tokens, .transpose_a = true}, mixed, x, d.weight);
  }
  if (d.x) {
    mix(d.z_input_scale);
    const Widened<T> weight(queue, v.weight, experts * channels);
    multiply_into<W>(queue, {.m = tokens, .n = channels, .k = experts}, mixed, weight, d.x);
  }
}

template <class W>
void add_router_noise_forward(CpuQueue, const RouterNoiseValues<W>& v, const W* logits, W* noisy) {
  parallel_ranges(v.n, grain, [&](Range r) { noise_range(v, logits, noisy, r); });
}

template <class W>
void add_router_noise_backward(CpuQueue, const RouterNoiseValues<W>& v, const RouterNoiseGradients<W>& d) {
  parallel_ranges(v.n, grain, [&](Range r) {
    if (d.into_main) pass_range(d.main, d.into_main, r);
    if (d.into_z) pass_range(d.z, d.into_z, r);
    if (d.scale_logits) noise_scale_range(v, d.main, d.z, d.scale_logits, r);
  });
}

#define KAPPA_INSTANTIATE(T)                                                            \
  template void router_logits_forward(CpuQueue, const RouterLogitValues<T>&, Wide<T>*); \
  template void router_logits_backward(CpuQueue, const RouterLogitValues<T>&, const RouterLogitGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                                              \
  template void add_router_noise_forward(CpuQueue, const RouterNoiseValues<W>&, const W*, W*); \
  template void add_router_noise_backward(CpuQueue, const RouterNoiseValues<W>&, const RouterNoiseGradients<W>&);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
