#pragma once
// Seconds on the wall clock, for what is measured.

#include <algorithm>
#include <chrono>
#include <vector>

namespace kappa {

/// What one call of `body` takes.
template <class Body>
double seconds_of(Body body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Of at least one value; of an even number of them the mean of the two in the middle.
inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

}  // namespace kappa
