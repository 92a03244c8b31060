#pragma once
// Sums over many elements in an order that no number of threads changes: blocks of a fixed size, added up one after the other, in
// double.

#include <cstddef>
#include <vector>

#include "engine/device/thread_pool.h"

namespace kappa {

constexpr int64_t sum_block = 8192;  // elements

/// Σ over the blocks of [0, n) of sum_of(Range), which gives one block's sum.
template <class SumOf>
double block_sum(int64_t n, SumOf&& sum_of) {
  std::vector<double> parts(std::size_t(ceil_div(n, sum_block)));
  parallel_ranges(n, sum_block, [&](Range r) { parts[std::size_t(r.begin / sum_block)] = sum_of(r); });
  double sum = 0;
  for (double part : parts) sum += part;
  return sum;
}

}  // namespace kappa
