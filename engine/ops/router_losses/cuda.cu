// The router's losses on the GPU: a warp a token, which reads its row of logits once from memory. Sums over tokens: a block
// leaves the sum of its tokens, in float64, and one thread adds the blocks' sums up in their order.

#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router_losses/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256, warps = threads / warp_lanes;
constexpr int tokens_a_warp = 8;
constexpr int64_t tokens_a_block = warps * tokens_a_warp;

__device__ inline int lane() { return int(threadIdx.x % warp_lanes); }

/// The highest of a row, and Σ exp of the row less that.
template <class W>
struct Softmax {
  W highest, sum;

  __device__ Softmax(const W* l, int64_t experts) {
    highest = -std::numeric_limits<W>::infinity();
    for (int64_t e = lane(); e < experts; e += warp_lanes) highest = l[e] > highest ? l[e] : highest;
    highest = warp_max(highest);
    sum = 0;
    for (int64_t e = lane(); e < experts; e += warp_lanes) sum += fast_exp(l[e] - highest);
    sum = warp_sum(sum);
  }
  __device__ W probability(W logit) const { return fast_exp(logit - highest) / sum; }
};

/// Σ_e p_e·f_e of one token, f_e = counts[e]/N, as f of the highest logit less Σ_e p_e·(f_highest − f_e): where one expert has
/// nearly all of the probability, f_j − Σ_e p_e·f_e would cancel.
template <class W>
struct Balancing {
  const int32_t* counts;  // [E]
  W inverse_tokens;

  __device__ W share(int64_t e) const { return W(counts[e]) * inverse_tokens; }

  struct Row {
    Softmax<W> softmax;
    W reference = 0, below = 0, loss;  // f_highest, and what is taken from it

    __device__ Row(const Balancing& rule, const W* l, int64_t experts) : softmax(l, experts) {
      for (int64_t e = lane(); e < experts; e += warp_lanes)
        if (l[e] == softmax.highest && rule.share(e) > reference) reference = rule.share(e);
      reference = warp_max(reference);
      for (int64_t e = lane(); e < experts; e += warp_lanes)
        below += fast_exp(l[e] - softmax.highest) * (reference - rule.share(e));
      below = warp_sum(below) / softmax.sum;
      loss = reference - below;
    }
    __device__ W dlogit(const Balancing& rule, W l, int64_t e, int64_t) const {
      return softmax.probability(l) * (rule.share(e) - reference + below);
    }
  };
};

/// LSE² + m² of one token.
template <class W>
struct ZLoss {
  ZLossTerms terms;

  struct Row {
    Softmax<W> softmax;
    ZLossPoint<W> point;
    W loss;

    __device__ Row(const ZLoss& rule, const W* l, int64_t experts)
        : softmax(l, experts),
          point(rule.terms, experts, softmax.highest, mean_below(l, experts), std::log(softmax.sum)),
          loss(point.loss()) {}
    __device__ W mean_below(const W* l, int64_t experts) const {
      W below = 0;
      for (int64_t e = lane(); e < experts; e += warp_lanes) below += l[e] - softmax.highest;
      return warp_sum(below) / W(experts);
    }
    __device__ W dlogit(const ZLoss&, W l, int64_t, int64_t experts) const {
      return point.dlogit(softmax.probability(l), experts);
    }
  };
};

struct WarpSums {
  double values[warps];
};

template <class Rule, class W>
__global__ void __launch_bounds__(threads) loss_kernel(Rule rule, RouterLossLogits<W> logits, double* parts) {
  const int64_t first = blockIdx.x * tokens_a_block + threadIdx.x / warp_lanes * tokens_a_warp;
  double sum = 0;
  for (int64_t token = first; token < first + tokens_a_warp && token < logits.tokens; ++token)
    sum += double(typename Rule::Row(rule, logits.row(token), logits.experts).loss);
  WarpSums& sums = shared<WarpSums>();
  if (lane() == 0) sums.values[threadIdx.x / warp_lanes] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < warps; ++w) sum += sums.values[w];
  parts[blockIdx.x] = sum;
}

template <class W>
__global__ void finish_kernel(const double* parts, int64_t blocks, double scale, W* loss) {
  const double sum = sum_of_parts(parts, blocks);
  if (threadIdx.x == 0) *loss = W(scale * sum);
}

/// `scale`, with the loss's gradient, is what every token's gradient is multiplied by.
template <class Rule, class W>
__global__ void __launch_bounds__(threads)
    gradient_kernel(Rule rule, RouterLossLogits<W> logits, W scale, RouterLossGradients<W> d) {
  const int64_t token = int64_t(blockIdx.x) * warps + threadIdx.x / warp_lanes;
  if (token >= logits.tokens) return;
  const W* const l = logits.row(token);
  const typename Rule::Row row(rule, l, logits.experts);
  const W factor = *d.dloss * scale;
  for (int64_t e = lane(); e < logits.experts; e += warp_lanes)
    d.logits.put(token * logits.experts + e, factor * row.dlogit(rule, l[e], e, logits.experts));
}

/// loss = scale·Σ over the tokens
template <class Rule, class W>
void sum_of_tokens(GridQueue queue, const Rule& rule, const RouterLossLogits<W>& logits, double scale, W* loss) {
  const unsigned blocks = blocks_for(logits.tokens, tokens_a_block);
  const Scratch<double> parts(queue, blocks);
  double* const part = parts;
  launch("router_loss", loss_kernel<Rule, W>, {blocks, threads}, queue, rule, logits, part);
  launch("router_loss_sum", finish_kernel<W>, {1, warp_lanes}, queue, part, int64_t(blocks), scale, loss);
}

template <class Rule, class W>
void gradient_of_tokens(GridQueue queue, const Rule& rule, const RouterLossLogits<W>& logits, W scale,
                        const RouterLossGradients<W>& d) {
  if (d.logits)
    launch("router_loss_gradient", gradient_kernel<Rule, W>, {blocks_for(logits.tokens, warps), threads}, queue, rule, logits,
           scale, d);
}

}  // namespace

template <class W>
void load_balancing_forward(GridQueue queue, const RouterLossLogits<W>& logits, const int32_t* counts, W* loss) {
  const Balancing<W> rule{counts, 1 / W(logits.tokens)};
  sum_of_tokens(queue, rule, logits, double(logits.experts) / double(logits.tokens), loss);
}

template <class W>
void load_balancing_backward(GridQueue queue, const RouterLossLogits<W>& logits, const int32_t* counts,
                             const RouterLossGradients<W>& d) {
  const Balancing<W> rule{counts, 1 / W(logits.tokens)};
  gradient_of_tokens(queue, rule, logits, W(logits.experts) / W(logits.tokens), d);
}

template <class W>
void z_loss_forward(GridQueue queue, const RouterLossLogits<W>& logits, ZLossTerms terms, W* loss) {
  sum_of_tokens(queue, ZLoss<W>{terms}, logits, 1 / double(logits.tokens), loss);
}

template <class W>
void z_loss_backward(GridQueue queue, const RouterLossLogits<W>& logits, ZLossTerms terms, const RouterLossGradients<W>& d) {
  gradient_of_tokens(queue, ZLoss<W>{terms}, logits, 1 / W(logits.tokens), d);
}

#define KAPPA_INSTANTIATE(W)                                                                                                   \
  template void load_balancing_forward(GridQueue, const RouterLossLogits<W>&, const int32_t*, W*);                             \
  template void load_balancing_backward(GridQueue, const RouterLossLogits<W>&, const int32_t*, const RouterLossGradients<W>&); \
  template void z_loss_forward(GridQueue, const RouterLossLogits<W>&, ZLossTerms, W*);                                         \
  template void z_loss_backward(GridQueue, const RouterLossLogits<W>&, ZLossTerms, const RouterLossGradients<W>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
