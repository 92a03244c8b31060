#pragma once
// What the kernels of all devices share: their arguments and the arithmetic of one token. No tensors, no tape.

#include <cmath>
#include <limits>

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"
#include "engine/core/vector_math.h"
#include "engine/ops/router/routing_table.h"

namespace kappa {

// ---- Logits

struct RouterLogitExtents {
  int64_t tokens, experts, channels;  // N, E, C
};

template <class T>
struct RouterLogitValues {
  RouterLogitExtents n;
  const T* x;       // [N, C]
  const T* weight;  // [E, C]
};

template <class T>
struct RouterLogitGradients {
  const Wide<T>*main, *z;   // [N, E], either may be null
  Wide<T> z_input_scale;    // what of z reaches x
  GradOut<T> x;             // [N, C]
  GradOut<Wide<T>> weight;  // [E, C]
};

template <class W>
struct RouterNoiseValues {
  int64_t n;              // N·E
  const W* scale_logits;  // [n]
  const W* normal;        // [n]
};

template <class W>
struct RouterNoiseGradients {
  const W *main, *z;             // [n], either may be null; then so is the place it goes on to
  GradOut<W> into_main, into_z;  // [n]
  GradOut<W> scale_logits;       // [n]
};

/// ln(1 + e^x), without overflow.
template <class W>
KAPPA_HD inline W softplus(W x) {
  return (x > 0 ? x : W(0)) + std::log1p(fast_exp(-std::fabs(x)));
}

#define KAPPA_DECLARE(Queue)                                                                       \
  template <class T>                                                                               \
  void router_logits_forward(Queue, const RouterLogitValues<T>&, Wide<T>* logits);                 \
  template <class T>                                                                               \
  void router_logits_backward(Queue, const RouterLogitValues<T>&, const RouterLogitGradients<T>&); \
  template <class W>                                                                               \
  void add_router_noise_forward(Queue, const RouterNoiseValues<W>&, const W* logits, W* noisy);    \
  template <class W>                                                                               \
  void add_router_noise_backward(Queue, const RouterNoiseValues<W>&, const RouterNoiseGradients<W>&);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

// ---- Routing

template <class W>
struct ExpertSelection {
  int64_t tokens, experts, top_k;  // N, E, K
  const W* logits;                 // [N, E]
  const W* bias;                   // [E], or null
  int32_t* expert;                 // [N, K] is written

  /// What selects. NaN, which has no place in an order, counts as −∞.
  KAPPA_HD W score(int64_t token, int64_t e) const {
    const W s = logits[token * experts + e] + (bias ? bias[e] : W(0));
    return s == s ? s : -std::numeric_limits<W>::infinity();
  }
  /// Each expert in turn is inserted among those chosen so far, behind its equals; who falls off the end was not chosen.
  KAPPA_HD void select(int64_t token) const {
    int32_t* const chosen = expert + token * top_k;
    for (int64_t e = 0; e < experts; ++e) {
      const W s = score(token, e);
      if (e >= top_k && !(s > score(token, chosen[top_k - 1]))) continue;
      int64_t place = e < top_k ? e : top_k - 1;
      for (; place > 0 && s > score(token, chosen[place - 1]); --place) chosen[place] = chosen[place - 1];
      chosen[place] = int32_t(e);
    }
  }
};

/// An id that is none: where it stands, or −1 if all are in range.
struct OutOfRange {
  int64_t index;
  int32_t value;
};

// assign_slots writes rank [N, K] and assignment [E, cap], which are those of `table`, from its choices; count_experts [E].
#define KAPPA_DECLARE(Queue)                                                               \
  template <class W>                                                                       \
  void select_experts(Queue, const ExpertSelection<W>&);                                   \
  void assign_slots(Queue, const RoutingTable& table, int32_t* rank, int32_t* assignment); \
  void count_experts(Queue, const RoutingTable& table, int32_t* counts);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

/// Experts that are kept, E' of them, and what they are called then.
struct KeptExperts {
  const int32_t* number;  // [E'] their old numbers
  const int32_t* place;   // [E] the new number of an old one
};
/// Writes expert [N, K] and assignment [E', cap'] of the table without the others; every expert that was chosen is kept.
void keep_experts(CpuQueue, const RoutingTable& table, const RoutingExtents& kept, KeptExperts experts, int32_t* expert,
                  int32_t* assignment);
/// The first of n ids that is not in [0, bound).
OutOfRange find_out_of_range(CpuQueue, const int32_t* ids, int64_t n, int64_t bound);

// ---- Gate

template <class T>
struct ConfidenceNorms {
  int64_t experts, channels;  // E, C
  const T* weight;            // [E, C]
  double exponent;            // a
};

template <class W>
struct RouterGateValues {
  RoutingTable routing;
  const W* logits;   // [N, E]
  const W* factors;  // [E] c = factor·s; null where c = 2·p
};

template <class W>
struct RouterGateGradients {
  const W *probability, *confidence;  // [N, K], either may be null
  W confidence_scale;                 // α
  GradOut<W> logits;                  // [N, E]
};

/// One token's choices: their logits, the softmax over them, and both outputs with their gradients.
template <class W>
class RouterGateToken {
 public:
  KAPPA_HD RouterGateToken(const RouterGateValues<W>& v, int64_t token)
      : v_(v), first_(token * v.routing.n.top_k), row_(token * v.routing.n.experts) {
    const int64_t top_k = v.routing.n.top_k;
    highest_ = logit(0);
    for (int64_t k = 1; k < top_k; ++k) highest_ = logit(k) > highest_ ? logit(k) : highest_;
    W sum = 0;
    for (int64_t k = 0; k < top_k; ++k) sum += fast_exp(logit(k) - highest_);
    inverse_sum_ = 1 / sum;
  }

  /// `confidence` may be null.
  KAPPA_HD void forward(W* probability, W* confidence) const {
    for (int64_t k = 0; k < v_.routing.n.top_k; ++k) {
      const bool dropped = is_dropped(k);
      const W p = softmax(k), c = v_.factors ? v_.factors[expert(k)] * logit(k) : 2 * p;
      probability[first_ + k] = dropped ? W(0) : p;
      if (confidence) confidence[first_ + k] = dropped ? W(0) : c;
    }
  }

  /// Adds to what the logits have.
  KAPPA_HD void backward(const RouterGateGradients<W>& d) const {
    for (int64_t k = 0; k < v_.routing.n.top_k; ++k) {
      const W direct = v_.factors ? v_.factors[expert(k)] * from_confidence(d, k) : W(0);
      d.logits.data[row_ + expert(k)] += softmax(k) * above_mean(d, k) + direct;
    }
  }

 private:
  KAPPA_HD int32_t expert(int64_t k) const { return v_.routing.expert[first_ + k]; }
  KAPPA_HD W logit(int64_t k) const { return v_.logits[row_ + expert(k)]; }
  KAPPA_HD W softmax(int64_t k) const { return fast_exp(logit(k) - highest_) * inverse_sum_; }
  KAPPA_HD bool is_dropped(int64_t k) const { return v_.routing.slot(first_ + k) < 0; }
  /// α·dc
  KAPPA_HD W from_confidence(const RouterGateGradients<W>& d, int64_t k) const {
    return d.confidence && !is_dropped(k) ? d.confidence_scale * d.confidence[first_ + k] : W(0);
  }
  /// dp'
  KAPPA_HD W into_softmax(const RouterGateGradients<W>& d, int64_t k) const {
    const W dp = d.probability && !is_dropped(k) ? d.probability[first_ + k] : W(0);
    return v_.factors ? dp : dp + 2 * from_confidence(d, k);
  }
  /// dp' − Σ p·dp', as Σ p·(difference to dp'), which loses nothing where one p is almost 1.
  KAPPA_HD W above_mean(const RouterGateGradients<W>& d, int64_t k) const {
    W sum = 0;
    for (int64_t j = 0; j < v_.routing.n.top_k; ++j) sum += softmax(j) * (into_softmax(d, k) - into_softmax(d, j));
    return sum;
  }

  const RouterGateValues<W>& v_;
  int64_t first_, row_;  // where the token's choices and its logits begin
  W highest_, inverse_sum_;
};

// `confidence` of router_gate_forward may be null.
#define KAPPA_DECLARE(Queue)                                                                   \
  template <class T>                                                                           \
  void compute_confidence_factors(Queue, const ConfidenceNorms<T>&, Wide<T>* factors);         \
  template <class W>                                                                           \
  void router_gate_forward(Queue, const RouterGateValues<W>&, W* probability, W* confidence);  \
  template <class W>                                                                           \
  void router_gate_backward(Queue, const RouterGateValues<W>&, const RouterGateGradients<W>&); \
  template <class W>                                                                           \
  void fill_confidence(Queue, W constant, int64_t n, W* confidence);
KAPPA_ON_EVERY_QUEUE(KAPPA_DECLARE)
#undef KAPPA_DECLARE

}  // namespace kappa
