// The router's logits on the GPU: products, and between them elementwise kernels.
//
// Backward the logits' gradients are float32 and what they meet is bfloat16. Tensor cores take no such pair, and to widen x [N,
// C] would move more than all the rest. So a gradient is written as the sum of two bfloat16, high + low, which keep 16 of its 24
// bits, and the product is one of [N, 2E]: dx = [high low]·[W; W], dW = highᵀ·x + lowᵀ·x.

#include "engine/device/cuda_warp.h"
#include "engine/device/grid_gemm.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256;

__device__ inline int64_t index() { return int64_t(blockIdx.x) * threads + threadIdx.x; }

/// main + scale·z
template <class W>
struct MixedGradient {
  const W *main, *z;  // either may be null
  W scale;
  __device__ W operator[](int64_t i) const {
    if (!z) return main[i];
    return main ? main[i] + scale * z[i] : scale * z[i];
  }
};

template <class W>
__global__ void __launch_bounds__(threads) mix_kernel(int64_t n, MixedGradient<W> mixed, W* to) {
  if (const int64_t i = index(); i < n) to[i] = mixed[i];
}

/// parts [N, 2E]: the high halves of a row, then the low ones.
__global__ void __launch_bounds__(threads)
    split_kernel(int64_t tokens, int32_t experts, MixedGradient<float> mixed, bfloat16* parts) {
  const int32_t e = int32_t(threadIdx.x % warp_lanes);
  const int64_t token = int64_t(blockIdx.x) * (threads / warp_lanes) + threadIdx.x / warp_lanes;
  if (token >= tokens) return;
  for (int32_t j = e; j < experts; j += warp_lanes) {
    const float d = mixed[token * experts + j];
    const bfloat16 high(d);
    parts[token * 2 * experts + j] = high;
    parts[token * 2 * experts + experts + j] = bfloat16(d - float(high));
  }
}

template <class T>
__global__ void __launch_bounds__(threads) repeat_kernel(int64_t n, const T* from, T* to) {
  if (const int64_t i = index(); i < n) to[i] = to[n + i] = from[i];
}

__global__ void __launch_bounds__(threads) add_halves_kernel(int64_t n, const float* halves, GradOut<float> to) {
  if (const int64_t i = index(); i < n) to.put(i, halves[i] + halves[n + i]);
}

template <class W>
void backward_wide(GridQueue queue, const RouterLogitValues<W>& v, const RouterLogitGradients<W>& d) {
  const auto [tokens, experts, channels] = v.n;
  const Scratch<W> mixed(queue, tokens * experts);
  W* const to = mixed;
  const auto mix = [&, n = tokens * experts](W scale) {
    launch("router_mix", mix_kernel<W>, {blocks_for(n, threads), threads}, queue, n, MixedGradient<W>{d.main, d.z, scale}, to);
  };
  if (d.weight) {
    mix(1);
    gemm<W, W>(queue, {.m = experts, .n = channels, .k = tokens, .transpose_a = true}, mixed, v.x, d.weight);
  }
  if (d.x) {
    mix(d.z_input_scale);
    gemm<W, W>(queue, {.m = tokens, .n = channels, .k = experts}, mixed, v.weight, d.x);
  }
}

void backward_split(GridQueue queue, const RouterLogitValues<bfloat16>& v, const RouterLogitGradients<bfloat16>& d) {
  const auto [tokens, experts, channels] = v.n;
  const Scratch<bfloat16> parts(queue, tokens * 2 * experts);
  bfloat16* const to = parts;
  const auto split = [&, n = tokens, e = int32_t(experts)](float scale) {
    launch("router_split", split_kernel, {blocks_for(n, threads / warp_lanes), threads}, queue, n, e,
           MixedGradient<float>{d.main, d.z, scale}, to);
  };
  const int64_t size = experts * channels;
  if (d.weight) {
    split(1);
    const Scratch<float> halves(queue, 2 * size);
    gemm<bfloat16, float>(queue, {.m = 2 * experts, .n = channels, .k = tokens, .transpose_a = true}, parts, v.x,
                          GradOut<float>{halves});
    launch("router_add_halves", add_halves_kernel, {blocks_for(size, threads), threads}, queue, size,
           static_cast<const float*>(halves), d.weight);
  }
  if (d.x) {
    split(d.z_input_scale);
    const Scratch<bfloat16> twice(queue, 2 * size);
    launch("router_repeat", repeat_kernel<bfloat16>, {blocks_for(size, threads), threads}, queue, size, v.weight,
           static_cast<bfloat16*>(twice));
    gemm<bfloat16, bfloat16>(queue, {.m = tokens, .n = channels, .k = 2 * experts}, parts, twice, d.x);
  }
}

template <class W>
__global__ void __launch_bounds__(threads) noise_kernel(RouterNoiseValues<W> v, const W* logits, W* noisy) {
  if (const int64_t i = index(); i < v.n) noisy[i] = logits[i] + softplus(v.scale_logits[i]) * v.normal[i];
}

template <class W>
__global__ void __launch_bounds__(threads) noise_backward_kernel(RouterNoiseValues<W> v, RouterNoiseGradients<W> d) {
  const int64_t i = index();
  if (i >= v.n) return;
  const W main = d.main ? d.main[i] : W(0), z = d.z ? d.z[i] : W(0);
  if (d.into_main) d.into_main.put(i, main);
  if (d.into_z) d.into_z.put(i, z);
  if (d.scale_logits) d.scale_logits.put(i, (main + z) * v.normal[i] * logistic(v.scale_logits[i]));
}

}  // namespace

template <class T>
void router_logits_forward(GridQueue queue, const RouterLogitValues<T>& v, Wide<T>* logits) {
  gemm(queue, {.m = v.n.tokens, .n = v.n.experts, .k = v.n.channels, .transpose_b = true}, v.x, v.weight,
       GradOut<Wide<T>>{logits});
}

template <class T>
void router_logits_backward(GridQueue queue, const RouterLogitValues<T>& v, const RouterLogitGradients<T>& d) {
  if constexpr (std::is_same_v<T, bfloat16>)
    backward_split(queue, v, d);
  else
    backward_wide(queue, v, d);
}

template <class W>
void add_router_noise_forward(GridQueue queue, const RouterNoiseValues<W>& v, const W* logits, W* noisy) {
  launch("router_noise", noise_kernel<W>, {blocks_for(v.n, threads), threads}, queue, v, logits, noisy);
}

template <class W>
void add_router_noise_backward(GridQueue queue, const RouterNoiseValues<W>& v, const RouterNoiseGradients<W>& d) {
  launch("router_noise_backward", noise_backward_kernel<W>, {blocks_for(v.n, threads), threads}, queue, v, d);
}

#define KAPPA_INSTANTIATE(T)                                                             \
  template void router_logits_forward(GridQueue, const RouterLogitValues<T>&, Wide<T>*); \
  template void router_logits_backward(GridQueue, const RouterLogitValues<T>&, const RouterLogitGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                                               \
  template void add_router_noise_forward(GridQueue, const RouterNoiseValues<W>&, const W*, W*); \
  template void add_router_noise_backward(GridQueue, const RouterNoiseValues<W>&, const RouterNoiseGradients<W>&);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
