#pragma once
// What the kernels of all devices share: their arguments and the arithmetic of one token. No tensors, no tape.

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/core/vector_math.h"

namespace kappa {

template <class W>
struct RouterLossLogits {
  int64_t tokens, experts;  // N, E
  const W* values;          // [N, E]
  KAPPA_HD const W* row(int64_t token) const { return values + token * experts; }
};

template <class W>
struct RouterLossGradients {
  const W* dloss;     // [1]
  GradOut<W> logits;  // [N, E]
};

struct ZLossTerms {
  bool demean, penalize_mean;
};

/// The z-loss of one token.
template <class W>
struct ZLossPoint {
  W log_sum;  // LSE, of the logits less their mean if `demean`
  W mean;     // m, 0 unless penalised
  W center;   // what is taken from p_j: 1/E if `demean`, else 0

  /// From the highest logit, and the mean and log Σ exp of the logits less that. So a large common part cancels exactly.
  KAPPA_HD ZLossPoint(const ZLossTerms& terms, int64_t experts, W highest, W mean_below, W log_sum_below)
      : log_sum(log_sum_below + (terms.demean ? -mean_below : highest)),
        mean(terms.penalize_mean ? highest + mean_below : W(0)),
        center(terms.demean ? 1 / W(experts) : W(0)) {}
  KAPPA_HD W loss() const { return log_sum * log_sum + mean * mean; }
  KAPPA_HD W dlogit(W p, int64_t experts) const { return 2 * log_sum * (p - center) + 2 * mean / W(experts); }
};

// `counts` [E]: how often each expert was selected; f_e = counts[e]/N.
#define KAPPA_DECLARE(Queue)                                                                                             \
  template <class W>                                                                                                     \
  void load_balancing_forward(Queue, const RouterLossLogits<W>&, const int32_t* counts, W* loss);                        \
  template <class W>                                                                                                     \
  void load_balancing_backward(Queue, const RouterLossLogits<W>&, const int32_t* counts, const RouterLossGradients<W>&); \
  template <class W>                                                                                                     \
  void z_loss_forward(Queue, const RouterLossLogits<W>&, ZLossTerms, W* loss);                                           \
  template <class W>                                                                                                     \
  void z_loss_backward(Queue, const RouterLossLogits<W>&, ZLossTerms, const RouterLossGradients<W>&);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
