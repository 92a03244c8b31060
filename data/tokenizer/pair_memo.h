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
  /// For ids below `tokens`: 1 MB from 16,384 on.
  explicit PairMemo(size_t tokens)
      : id_bits_(std::max<int>(std::bit_width(tokens), 8)),
        place_bits_(std::clamp(id_bits_ + 4, 12, id_bits_ <= 16 ? 19 : 18)),
        narrow_(nothing_known<uint16_t>(id_bits_ <= 16)),
        wide_(nothing_known<uint32_t>(id_bits_ > 16)) {}
  PairMemo(const PairMemo& other) : PairMemo((size_t{1} << other.id_bits_) - 1) {}
  PairMemo(PairMemo&&) noexcept = default;
  PairMemo& operator=(PairMemo&&) noexcept = default;

  /// find_out() for (left, right), or what it said before.
  template <class FindOut>
  bool get(int32_t left, int32_t right, FindOut&& find_out) const {
    // Multiplying by an odd number modulo a power of two can be undone, so place and rest together are the pair.
    const uint64_t pair = uint64_t(uint32_t(left)) << id_bits_ | uint32_t(right);
    const uint64_t mixed = pair * 0x9E3779B97F4A7C15u << (64 - 2 * id_bits_);
    const uint64_t place = mixed >> (64 - place_bits_), rest = mixed << place_bits_ >> (64 - 2 * id_bits_ + place_bits_);
    return narrow_ ? recall(narrow_[place], rest, find_out) : recall(wide_[place], rest, find_out);
  }

 private:
  static constexpr uint64_t is_known = 2;
  static_assert(largest_vocabulary < int64_t{1} << 22 && 2 * 16 - 19 + 2 <= 16 && 2 * 22 - 18 + 2 <= 32);

  template <class Entry, class FindOut>
  static bool recall(std::atomic<Entry>& entry, uint64_t rest, FindOut&& find_out) {
    const uint64_t expected = rest << 2 | is_known, found = entry.load(std::memory_order_relaxed);
    if ((found & ~uint64_t{1}) == expected) return (found & 1) != 0;
    const bool answer = find_out();
    entry.store(Entry(expected | uint64_t(answer)), std::memory_order_relaxed);
    return answer;
  }

  template <class Entry>
  std::unique_ptr<std::atomic<Entry>[]> nothing_known(bool wanted) const {
    return std::unique_ptr<std::atomic<Entry>[]>(wanted ? new std::atomic<Entry>[size_t{1} << place_bits_] {} : nullptr);
  }

  int id_bits_;
  int place_bits_;
  // An entry is the rest of a pair, is_known, and the answer; 0 where there is none. Where ids are short, half as much is enough,
  // and twice as many are in the nearer caches.
  std::unique_ptr<std::atomic<uint16_t>[]> narrow_;
  std::unique_ptr<std::atomic<uint32_t>[]> wide_;
};

}  // namespace kappa
