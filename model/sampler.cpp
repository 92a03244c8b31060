#include "model/sampler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/vector_math.h"
#include "engine/core/wide.h"

namespace kappa {
namespace {

/// NaN or infinite unless all of x is finite.
template <class W>
KAPPA_WIDE W zero_times(const W* x, int64_t n) {
  W sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += W(0) * x[i];
  return sum;
}

/// x ← e^((x − highest) / temperature)
template <class W>
KAPPA_WIDE void exponentiate(W* x, int64_t n, double highest, double temperature) {
  for (int64_t i = 0; i < n; ++i) x[i] = fast_exp(W((double(x[i]) - highest) / temperature));
}

/// The ids of the top_k highest logits, in ascending order.
template <class W>
std::vector<int32_t> highest_ids(std::span<const W> logits, int64_t top_k) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  if (top_k == 0 || top_k >= int64_t(ids.size())) return ids;
  std::ranges::nth_element(ids, ids.begin() + top_k, [&](int32_t a, int32_t b) {
    const W of_a = logits[size_t(a)], of_b = logits[size_t(b)];
    return of_a > of_b || (of_a == of_b && a < b);
  });
  ids.resize(size_t(top_k));
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

template <class W>
int32_t pick(std::span<const W> logits, const Sampling& sampling, double uniform) {
  if (zero_times(logits.data(), int64_t(logits.size())) != 0) throw RunError("the model's logits are not finite");
  const auto highest = std::ranges::max_element(logits);
  if (sampling.temperature == 0) return int32_t(highest - logits.begin());

  const std::vector<int32_t> ids = highest_ids(logits, sampling.top_k);
  std::vector<W> weights;
  weights.reserve(ids.size());
  for (int32_t id : ids) weights.push_back(logits[size_t(id)]);
  exponentiate(weights.data(), int64_t(weights.size()), double(*highest), sampling.temperature);
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (size_t i = 0; i < ids.size(); ++i)
    if ((left -= double(weights[i])) < 0) return ids[i];
  return ids.back();  // reached by rounding alone
}

template int32_t pick(std::span<const double>, const Sampling&, double);
template int32_t pick(std::span<const float>, const Sampling&, double);

}  // namespace kappa
