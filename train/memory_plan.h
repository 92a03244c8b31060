#pragma once
// How much memory a run needs, and whether there is so much.

#include "train/config.h"

namespace kappa {

/// Estimates of bytes, by what takes them.
struct MemoryPlan {
  double parameters = 0, gradients = 0, optimizer = 0;  // exact
  double activations = 0;  // what the ops keep of a micro-batch for the way back, and a layer's gradients
  double total() const { return parameters + gradients + optimizer + activations; }
};
MemoryPlan plan_memory(const RunConfig& config);

/// Throws InputError unless a training fits into `available` bytes; 0: nobody knows how many there are. What is planned has been
/// up to an eighth above what was then used, so a run is refused only where it is a quarter above what there is.
void check_memory(const RunConfig& config, int64_t available);

/// "1.50 GiB", "12 MiB"
std::string bytes_text(double bytes);

}  // namespace kappa
