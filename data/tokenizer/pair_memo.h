#pragma once
// What was found out about pairs of tokens, as far as it is still remembered: a newer pair takes the place of an older one. All
// threads may use one at the same time; an entry is one word, so it is read and written whole.

#include <atomic>
#include <cstdint>
#include <memory>

namespace kappa {

class PairMemo {
 public:
  PairMemo() : entries_(new std::atomic<uint64_t>[size] {}) {}
  PairMemo(const PairMemo&) : PairMemo() {}
  PairMemo(PairMemo&&) noexcept = default;
  PairMemo& operator=(PairMemo&&) noexcept = default;

  /// find_out() for (left, right), both less than 2³¹, or what it said before.
  template <class FindOut>
  bool get(int32_t left, int32_t right, FindOut&& find_out) const {
    const uint64_t key = uint64_t(uint32_t(left)) << 32 | uint64_t(uint32_t(right)) << 1;
    std::atomic<uint64_t>& entry = entries_[(key * 0x9E3779B97F4A7C15u) >> (64 - bits)];
    const uint64_t found = entry.load(std::memory_order_relaxed);
    if ((found & ~uint64_t{1}) == key && found != 0) return (found & 1) != 0;
    const bool answer = find_out();
    entry.store(key | uint64_t(answer), std::memory_order_relaxed);
    return answer;
  }

 private:
  static constexpr int bits = 17;
  static constexpr size_t size = size_t{1} << bits;

  std::unique_ptr<std::atomic<uint64_t>[]> entries_;  // left, right, answer; 0 where there is none (or, for (0, 0), false)
};

}  // namespace kappa
