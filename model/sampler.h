#pragma once
// Choosing the next token (spec: evaluation §5.2).
//
//     p = softmax(logits / temperature) over the top_k highest        temperature 0: the highest, of equals the first

#include <cstdint>
#include <span>

namespace kappa {

struct Sampling {
  double temperature = 1;
  int64_t top_k = 0;  // 0: all; of equal logits the lower ids belong to the highest
};

/// The id of one of `logits` [V] that a uniform random number in [0, 1) picks from p: the first at which the sum of p over ids in
/// ascending order exceeds it. W: double or float. Throws RunError if a logit is not finite.
template <class W>
int32_t pick(std::span<const W> logits, const Sampling& sampling, double uniform);

}  // namespace kappa
