// What the router says about its choices, on the GPU: a thread a token, which sees K numbers. Bound by memory, and little of it.

#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256, warps = threads / warp_lanes;
constexpr double norm_epsilon = 1e-4;  // under the root of ŵ

/// One warp an expert: roots[e] = ŵ_e^a and rests[e] = ŵ_e^(1−a).
template <class T>
__global__ void __launch_bounds__(threads) norm_kernel(ConfidenceNorms<T> n, double* roots, double* rests) {
  const int64_t e = int64_t(blockIdx.x) * warps + threadIdx.x / warp_lanes;
  if (e >= n.experts) return;
  double squares = 0;
  for (int64_t c = threadIdx.x % warp_lanes; c < n.channels; c += warp_lanes) {
    const auto w = double(Wide<T>(n.weight[e * n.channels + c]));
    squares += w * w;
  }
  const double norm = std::sqrt(warp_sum(squares) + norm_epsilon);
  if (threadIdx.x % warp_lanes != 0) return;
  roots[e] = std::pow(norm, n.exponent);
  rests[e] = std::pow(norm, 1 - n.exponent);
}

/// 6 / (√C · ŵ_e^a · mean_e ŵ_e^(1−a)). Every thread adds up the mean for itself, in order.
template <class T>
__global__ void __launch_bounds__(threads)
    factor_kernel(ConfidenceNorms<T> n, const double* roots, const double* rests, Wide<T>* factors) {
  const int64_t e = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (e >= n.experts) return;
  double mean = 0;
  for (int64_t i = 0; i < n.experts; ++i) mean += rests[i];
  mean /= double(n.experts);
  factors[e] = Wide<T>(6 / (std::sqrt(double(n.channels)) * roots[e] * mean));
}

template <class W>
__global__ void __launch_bounds__(threads) fill_kernel(W value, int64_t n, W* to) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < n) to[i] = value;
}

template <class W>
__global__ void __launch_bounds__(threads) gate_forward_kernel(RouterGateValues<W> v, W* probability, W* confidence) {
  const int64_t token = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (token < v.routing.n.tokens) RouterGateToken<W>(v, token).forward(probability, confidence);
}

template <class W>
__global__ void __launch_bounds__(threads) gate_backward_kernel(RouterGateValues<W> v, RouterGateGradients<W> d) {
  const int64_t token = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (token < v.routing.n.tokens) RouterGateToken<W>(v, token).backward(d);
}

}  // namespace

template <class W>
void fill_confidence(GridQueue queue, W constant, int64_t n, W* confidence) {
  launch("fill", fill_kernel<W>, {blocks_for(n, threads), threads}, queue, constant, n, confidence);
}

template <class T>
void compute_confidence_factors(GridQueue queue, const ConfidenceNorms<T>& n, Wide<T>* factors) {
  if (n.exponent <= 0) return fill_confidence(queue, Wide<T>(0.3), n.experts, factors);
  const Scratch<double> roots(queue, n.experts), rests(queue, n.experts);
  double *const root = roots, *const rest = rests;
  launch("confidence_norms", norm_kernel<T>, {blocks_for(n.experts, warps), threads}, queue, n, root, rest);
  launch("confidence_factors", factor_kernel<T>, {blocks_for(n.experts, threads), threads}, queue, n, root, rest, factors);
}

template <class W>
void router_gate_forward(GridQueue queue, const RouterGateValues<W>& v, W* probability, W* confidence) {
  launch("router_gate_forward", gate_forward_kernel<W>, {blocks_for(v.routing.n.tokens, threads), threads}, queue, v, probability,
         confidence);
}

template <class W>
void router_gate_backward(GridQueue queue, const RouterGateValues<W>& v, const RouterGateGradients<W>& d) {
  if (!d.logits) return;
  const RoutingExtents& n = v.routing.n;
  if (!d.logits.add) fill_confidence(queue, W(0), n.tokens * n.experts, d.logits.data);
  launch("router_gate_backward", gate_backward_kernel<W>, {blocks_for(n.tokens, threads), threads}, queue, v, d);
}

#define KAPPA_INSTANTIATE(T) template void compute_confidence_factors(GridQueue, const ConfidenceNorms<T>&, Wide<T>*);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                                                           \
  template void router_gate_forward(GridQueue, const RouterGateValues<W>&, W*, W*);                         \
  template void router_gate_backward(GridQueue, const RouterGateValues<W>&, const RouterGateGradients<W>&); \
  template void fill_confidence(GridQueue, W, int64_t, W*);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
