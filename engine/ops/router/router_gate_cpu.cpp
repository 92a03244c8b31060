#include <algorithm>

#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_grain = 256;
constexpr double norm_epsilon = 1e-4;  // under the root of ŵ

/// ‖w_e‖²
template <class T>
double squared_norm(const ConfidenceNorms<T>& n, int64_t expert) {
  double sum = 0;
  for (int64_t c = 0; c < n.channels; ++c) {
    const double w = double(Wide<T>(n.weight[expert * n.channels + c]));
    sum += w * w;
  }
  return sum;
}

}  // namespace

template <class T>
void compute_confidence_factors(CpuQueue queue, const ConfidenceNorms<T>& n, Wide<T>* factors) {
  if (n.exponent <= 0) {
    std::fill_n(factors, n.experts, Wide<T>(0.3));
    return;
  }
  const Scratch<double> norms(queue, n.experts);
  parallel_for(n.experts, [&](int64_t e) { norms[e] = std::sqrt(squared_norm(n, e) + norm_epsilon); });
  double mean = 0;
  for (int64_t e = 0; e < n.experts; ++e) mean += std::pow(norms[e], 1 - n.exponent) / double(n.experts);
  for (int64_t e = 0; e < n.experts; ++e)
    factors[e] = Wide<T>(6 / (std::sqrt(double(n.channels)) * std::pow(norms[e], n.exponent) * mean));
}

template <class W>
void router_gate_forward(CpuQueue, const RouterGateValues<W>& v, W* probability, W* confidence) {
  parallel_ranges(v.routing.n.tokens, token_grain, [&](Range tokens) {
    for (int64_t token = tokens.begin; token < tokens.end; ++token) RouterGateToken<W>(v, token).forward(probability, confidence);
  });
}

template <class W>
void router_gate_backward(CpuQueue, const RouterGateValues<W>& v, const RouterGateGradients<W>& d) {
  if (!d.logits) return;
  const int64_t experts = v.routing.n.experts;
  parallel_ranges(v.routing.n.tokens, token_grain, [&](Range tokens) {
    if (!d.logits.add) std::fill(d.logits.data + tokens.begin * experts, d.logits.data + tokens.end * experts, W(0));
    for (int64_t token = tokens.begin; token < tokens.end; ++token) RouterGateToken<W>(v, token).backward(d);
  });
}

template <class W>
void fill_confidence(CpuQueue, W constant, int64_t n, W* confidence) {
  std::fill_n(confidence, n, constant);
}

#define KAPPA_INSTANTIATE(T) template void compute_confidence_factors(CpuQueue, const ConfidenceNorms<T>&, Wide<T>*);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                                                          \
  template void router_gate_forward(CpuQueue, const RouterGateValues<W>&, W*, W*);                         \
  template void router_gate_backward(CpuQueue, const RouterGateValues<W>&, const RouterGateGradients<W>&); \
  template void fill_confidence(CpuQueue, W, int64_t, W*);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
