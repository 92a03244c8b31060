#include <algorithm>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/value_gate/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_grain = 64;
constexpr int64_t inputs = value_gate_channels;

/// z of one head: its row of the weight [32] times the first channels of a token.
template <class T>
inline Wide<T> gate_logit(const T* weight, const T* x) {
  Wide<T> z = 0;
#pragma omp simd reduction(+ : z)
  for (int64_t c = 0; c < inputs; ++c) z += Wide<T>(weight[c]) * Wide<T>(x[c]);
  return z;
}

template <class T>
KAPPA_WIDE void forward_tokens(const ValueGateValues<T>& in, const T* v, T* y, Range tokens) {
  using W = Wide<T>;
  const int64_t heads = in.n.heads, head_size = in.n.head_size, channels = in.n.channels;
  for (int64_t token = tokens.begin; token < tokens.end; ++token)
    for (int64_t head = 0; head < heads; ++head) {
      const ValueGatePoint<W> point(gate_logit(in.weight + head * inputs, in.x + token * channels));
      const int64_t first = (token * heads + head) * head_size;
      // Not marked simd: GCC would then lay a bfloat16 down in memory before it is stored, and not vectorise.
      for (int64_t d = first; d < first + head_size; ++d) y[d] = T(W(v[d]) + point.gate * W(in.embedding[d]));
    }
}

/// `weight_part` [Hkv, 32] gets these tokens' share of dw.
template <class T>
KAPPA_WIDE void backward_tokens(const ValueGateValues<T>& in, const ValueGateGradients<T>& d, Wide<T>* weight_part,
                                Range tokens) {
  using W = Wide<T>;
  const int64_t heads = in.n.heads, head_size = in.n.head_size, channels = in.n.channels;
  std::fill(weight_part, weight_part + heads * inputs, W(0));
  for (int64_t token = tokens.begin; token < tokens.end; ++token) {
    const T* x = in.x + token * channels;
    W dx[inputs] = {};
    for (int64_t head = 0; head < heads; ++head) {
      const T* weight = in.weight + head * inputs;
      const ValueGatePoint<W> point(gate_logit(weight, x));
      const int64_t first = (token * heads + head) * head_size;
      const T *dy = d.dy + first, *embedding = in.embedding + first;
      W dgate = 0;
#pragma omp simd reduction(+ : dgate)
      for (int64_t i = 0; i < head_size; ++i) dgate += W(dy[i]) * W(embedding[i]);
      if (d.v)
        for (int64_t i = 0; i < head_size; ++i) d.v.put(first + i, W(dy[i]));
      if (d.embedding)
        for (int64_t i = 0; i < head_size; ++i) d.embedding.put(first + i, point.gate * W(dy[i]));
      const W dz = dgate * point.dgate_dz;
      W* dweight = weight_part + head * inputs;
#pragma omp simd
      for (int64_t c = 0; c < inputs; ++c) {
        dx[c] += dz * W(weight[c]);
        dweight[c] += dz * W(x[c]);
      }
    }
    if (!d.x) continue;
    for (int64_t c = 0; c < inputs; ++c) d.x.put(token * channels + c, dx[c]);
    if (!d.x.add) std::fill(d.x.data + token * channels + inputs, d.x.data + (token + 1) * channels, T(0));
  }
}

}  // namespace

template <class T>
void value_gate_forward(CpuQueue, const ValueGateValues<T>& in, const T* v, T* y) {
  parallel_ranges(in.n.tokens, token_grain, [&](Range tokens) { forward_tokens(in, v, y, tokens); });
}

// Each tile sums dw over its own tokens; the tiles are added up in order afterwards.
template <class T>
void value_gate_backward(CpuQueue queue, const ValueGateValues<T>& in, const ValueGateGradients<T>& d) {
  using W = Wide<T>;
  const int64_t tiles = ceil_div(in.n.tokens, token_grain), weights = in.n.heads * inputs;
  const Scratch<W> weight_parts(queue, tiles * weights);  // [tiles, Hkv, 32]
  W* const parts = weight_parts;
  parallel_ranges(in.n.tokens, token_grain,
                  [&](Range tokens) { backward_tokens(in, d, parts + tokens.begin / token_grain * weights, tokens); });
  if (!d.weight) return;
  for (int64_t i = 0; i < weights; ++i) {
    W sum = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) sum += parts[tile * weights + i];
    d.weight.put(i, sum);
  }
}

#define KAPPA_INSTANTIATE(T)                                                           \
  template void value_gate_forward(CpuQueue, const ValueGateValues<T>&, const T*, T*); \
  template void value_gate_backward(CpuQueue, const ValueGateValues<T>&, const ValueGateGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
