#pragma once
// What benches share: a clock, and the least that can be done with bytes.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>

namespace kappa::test {

/// Processor time of the fastest of some runs, in seconds: of this thread alone, so that other programs disturb it little.
template <class Body>
double seconds(int runs, Body&& body) {
  double best = 1e300;
  for (int i = 0; i < runs; ++i) {
    timespec begin{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    body();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    best = std::min(best, double(end.tv_sec - begin.tv_sec) + 1e-9 * double(end.tv_nsec - begin.tv_nsec));
  }
  return best;
}

/// Every eighth byte's worth of work: eight bytes at a time.
inline uint64_t sum_of(std::string_view bytes) {
  uint64_t sum = 0, word = 0;
  for (; bytes.size() >= sizeof word; bytes.remove_prefix(sizeof word)) {
    std::memcpy(&word, bytes.data(), sizeof word);
    sum += word;
  }
  return sum + bytes.size();
}

}  // namespace kappa::test
