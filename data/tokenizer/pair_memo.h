#pragma once
// What was found out about pairs of tokens, as far as it is still remembered: a newer pair takes the place of an older one. All
// threads may use one at the same time; an entry is one word, so it is read and written whole.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "data/tokenizer/vocabulary.h"

namespace kappa {

class PairMemo {
 public:
  /// For a vocabulary of so many tokens: 1 MB from 16,384 on.
  explicit PairMemo(size_t tokens)
      : shift_(id_bits * 2 - std::clamp(int(std::bit_width(tokens)) + 3, least_place_bits, most_place_bits)),
        entries_(nothing_known(shift_)) {}
  PairMemo(const PairMemo& other) : shift_(other.shift_), entries_(nothing_known(shift_)) {}
  PairMemo(PairMemo&&) noexcept = default;
  PairMemo& operator=(PairMemo&&) noexcept = default;

  /// find_out() for (left, right), both ids of a vocabulary, or what it said before.
  template <class FindOut>
  bool get(int32_t left, int32_t right, FindOut&& find_out) const {
    // Multiplying by an odd number modulo a power of two can be undone, so place and rest together are the pair.
    const uint64_t mixed = (uint64_t(uint32_t(left)) << id_bits | uint32_t(right)) * 0x9E3779B97F4A7C15u % pairs;
    const uint32_t rest = uint32_t(mixed % (pairs >> least_place_bits)) << 2 | is_known;
    std::atomic<uint32_t>& entry = entries_[mixed >> shift_];
    const uint32_t found = entry.load(std::memory_order_relaxed);
    if ((found & ~uint32_t{1}) == rest) return (found & 1) != 0;
    const bool answer = find_out();
    entry.store(rest | uint32_t(answer), std::memory_order_relaxed);
    return answer;
  }

 private:
  static constexpr int id_bits = 21, least_place_bits = 12, most_place_bits = 18;
  static constexpr uint64_t pairs = uint64_t{1} << (2 * id_bits);
  static constexpr uint32_t is_known = 2;
  static_assert(largest_vocabulary <= int64_t{1} << id_bits && 2 * id_bits - least_place_bits + 2 <= 32);

  using Entries = std::unique_ptr<std::atomic<uint32_t>[]>;
  static Entries nothing_known(int shift) {
    return Entries(new std::atomic<uint32_t>[pairs >> shift] {});
  }

  int shift_;        // of a mixed pair to its place
  Entries entries_;  // the rest of a pair, is_known, answer; 0 where there is none
};

}  // namespace kappa
