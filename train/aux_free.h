#pragma once
// Load balancing without a loss (spec: training §12.8): experts that were chosen more often than the mean become less attractive.
//
//     bias_e ← bias_e + speed·sign(mean(counts) − counts_e)      then the mean of the biases is subtracted

#include <cstdint>
#include <span>

namespace kappa {

/// Before an optimizer step. bias [E]; counts [E]: how many times each expert was chosen since the last step, before any
/// capacity. If nothing was chosen, nothing changes. W: double or float.
template <class W>
void update_expert_bias(std::span<W> bias, std::span<const int32_t> counts, double speed = 1e-3);

}  // namespace kappa
