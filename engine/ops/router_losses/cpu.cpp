#include <algorithm>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router_losses/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_block = 256;  // tokens whose losses are added up in one go

template <class W>
inline W highest_of(const W* l, int64_t experts) {
  W highest = l[0];
#pragma omp simd reduction(max : highest)
  for (int64_t e = 1; e < experts; ++e) highest = l[e] > highest ? l[e] : highest;
  return highest;
}

/// Σ_e p_e·f_e of one token, as f of the highest logit less Σ_e p_e·(f_highest − f_e): where one expert has nearly all of the
/// probability, f_j − Σ_e p_e·f_e would cancel.
template <class W>
struct Balancing {
  int64_t experts;
  const W* share;  // [E] f_e

  struct Row {
    W highest, inverse_sum, loss;
    W reference, below;  // f_highest, and what is taken from it
  };
  Row at(const W* l) const {
    const W highest = highest_of(l, experts);
    const W* const f = share;  // as a member it would keep the loop from vectorising
    const int64_t top = std::min<int64_t>(std::find(l, l + experts, highest) - l, experts - 1);
    const W reference = f[top];
    W sum = 0, below = 0;
#pragma omp simd reduction(+ : sum, below)
    for (int64_t e = 0; e < experts; ++e) {
      const W x = fast_exp(l[e] - highest);
      sum += x;
      below += x * (reference - f[e]);
    }
    return {highest, 1 / sum, reference - below / sum, reference, below / sum};
  }
  W dlogit(const Row& row, W l, int64_t e) const {
    return fast_exp(l - row.highest) * row.inverse_sum * (share[e] - row.reference + row.below);
  }
};

/// LSE² + m² of one token.
template <class W>
struct ZLoss {
  int64_t experts;
  ZLossTerms terms;

  struct Row {
    W highest, inverse_sum, loss;
    ZLossPoint<W> point;
  };
  Row at(const W* l) const {
    const W highest = highest_of(l, experts);
    W sum = 0, below = 0;
#pragma omp simd reduction(+ : sum, below)
    for (int64_t e = 0; e < experts; ++e) {
      sum += fast_exp(l[e] - highest);
      below += l[e] - highest;
    }
    const ZLossPoint<W> point(terms, experts, highest, below / W(experts), std::log(sum));
    return {highest, 1 / sum, point.loss(), point};
  }
  W dlogit(const Row& row, W l, int64_t) const { return row.point.dlogit(fast_exp(l - row.highest) * row.inverse_sum, experts); }
};

template <class Rule, class W>
KAPPA_WIDE double sum_of_rows(const Rule& rule, const W* logits, Range tokens) {
  double sum = 0;
  for (int64_t token = tokens.begin; token < tokens.end; ++token) sum += double(rule.at(logits + token * rule.experts).loss);
  return sum;
}

template <class Rule, class W>
KAPPA_WIDE void gradient_of_rows(const Rule& rule, const W* logits, W scale, GradOut<W> dlogits, Range tokens) {
  for (int64_t token = tokens.begin; token < tokens.end; ++token) {
    const W* const l = logits + token * rule.experts;
    const auto row = rule.at(l);
    const GradOut<W> place{dlogits.data + token * rule.experts, dlogits.add};
#pragma omp simd
    for (int64_t e = 0; e < rule.experts; ++e) place.put(e, scale * rule.dlogit(row, l[e], e));
  }
}

/// Σ over the tokens: blocks in any order, then the blocks' sums in theirs.
template <class Rule, class W>
double sum_of_tokens(CpuQueue queue, const Rule& rule, const RouterLossLogits<W>& logits) {
  const int64_t blocks = ceil_div(logits.tokens, token_block);
  const Scratch<double> parts(queue, blocks);
  parallel_ranges(logits.tokens, token_block,
                  [&](Range tokens) { parts[tokens.begin / token_block] = sum_of_rows(rule, logits.values, tokens); });
  double sum = 0;
  for (int64_t block = 0; block < blocks; ++block) sum += parts[block];
  return sum;
}

template <class Rule, class W>
void gradient_of_tokens(const Rule& rule, const RouterLossLogits<W>& logits, W scale, GradOut<W> dlogits) {
  if (!dlogits) return;
  parallel_ranges(logits.tokens, token_block,
                  [&](Range tokens) { gradient_of_rows(rule, logits.values, scale, dlogits, tokens); });
}

/// f_e = count_e/N
template <class W>
class Shares {
 public:
  Shares(CpuQueue queue, const RouterLossLogits<W>& logits, const int32_t* counts) : values_(queue, logits.experts) {
    for (int64_t e = 0; e < logits.experts; ++e) values_[e] = W(double(counts[e]) / double(logits.tokens));
  }
  operator const W*() const { return values_; }

 private:
  Scratch<W> values_;
};

}  // namespace

template <class W>
void load_balancing_forward(CpuQueue queue, const RouterLossLogits<W>& logits, const int32_t* counts, W* loss) {
  const Shares<W> shares(queue, logits, counts);
  const Balancing<W> rule{logits.experts, shares};
  *loss = W(double(logits.experts) * sum_of_tokens(queue, rule, logits) / double(logits.tokens));
}

template <class W>
void load_balancing_backward(CpuQueue queue, const RouterLossLogits<W>& logits, const int32_t* counts,
                             const RouterLossGradients<W>& d) {
  const Shares<W> shares(queue, logits, counts);
  const Balancing<W> rule{logits.experts, shares};
  gradient_of_tokens(rule, logits, *d.dloss * W(logits.experts) / W(logits.tokens), d.logits);
}

template <class W>
void z_loss_forward(CpuQueue queue, const RouterLossLogits<W>& logits, ZLossTerms terms, W* loss) {
  const ZLoss<W> rule{logits.experts, terms};
  *loss = W(sum_of_tokens(queue, rule, logits) / double(logits.tokens));
}

template <class W>
void z_loss_backward(CpuQueue, const RouterLossLogits<W>& logits, ZLossTerms terms, const RouterLossGradients<W>& d) {
  const ZLoss<W> rule{logits.experts, terms};
  gradient_of_tokens(rule, logits, *d.dloss / W(logits.tokens), d.logits);
}

#define KAPPA_INSTANTIATE(W)                                                                                                  \
  template void load_balancing_forward(CpuQueue, const RouterLossLogits<W>&, const int32_t*, W*);                             \
  template void load_balancing_backward(CpuQueue, const RouterLossLogits<W>&, const int32_t*, const RouterLossGradients<W>&); \
  template void z_loss_forward(CpuQueue, const RouterLossLogits<W>&, ZLossTerms, W*);                                         \
  template void z_loss_backward(CpuQueue, const RouterLossLogits<W>&, ZLossTerms, const RouterLossGradients<W>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa
