#include "train/aux_free.h"

#include <numeric>
#include <stdexcept>

namespace kappa {

template <class W>
void update_expert_bias(std::span<W> bias, std::span<const int32_t> counts, double speed) {
  if (bias.size() != counts.size()) throw std::logic_error("expert biases and counts differ in number");
  const auto experts = int64_t(bias.size());
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (total == 0) return;
  for (size_t e = 0; e < bias.size(); ++e) {
    const int64_t want = total - experts * counts[e];  // the sign of mean − count, in integers
    bias[e] += W(speed) * W((want > 0) - (want < 0));
  }
  const W mean = std::accumulate(bias.begin(), bias.end(), W(0)) / W(experts);
  for (W& b : bias) b -= mean;
}

template void update_expert_bias(std::span<double>, std::span<const int32_t>, double);
template void update_expert_bias(std::span<float>, std::span<const int32_t>, double);

}  // namespace kappa
