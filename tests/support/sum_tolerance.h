#pragma once

namespace kappa::test {

/// How far two orders of the same float32 sums may be apart, as ‖Δ‖₂/‖x‖₂. A build with sanitizers is not vectorised: a CPU
/// kernel's sum over thousands of elements is then one running sum, whose error grows with their number.
#ifdef KAPPA_SANITIZED
inline constexpr double sum_tolerance = 4e-6;
#else
inline constexpr double sum_tolerance = 1e-6;
#endif

}  // namespace kappa::test
