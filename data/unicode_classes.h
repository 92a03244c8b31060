#pragma once
// The four kinds of characters that split patterns tell apart, by Unicode 17.0: \p{L}, \p{N}, \s (White_Space) and the rest.
// (As the Python package regex 2026.5.9 has them. Versions differ only in newly assigned characters, which here are `other`.)

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace kappa {

enum class CharClass : uint8_t { other, letter, number, space };

struct ClassRange {
  uint32_t first, last;  // code points, inclusive
  CharClass type;
};

/// All ranges that are not `other`, ascending and disjoint.
std::span<const ClassRange> class_ranges();

namespace detail {

constexpr std::array<CharClass, 128> ascii_classes() {
  std::array<CharClass, 128> classes{};
  const auto set = [&](int first, int last, CharClass type) {
    for (int c = first; c <= last; ++c) classes[size_t(c)] = type;
  };
  set('\t', '\r', CharClass::space), set(' ', ' ', CharClass::space);
  set('0', '9', CharClass::number);
  set('A', 'Z', CharClass::letter), set('a', 'z', CharClass::letter);
  return classes;
}

inline CharClass search_class(char32_t code) {
  const auto ranges = class_ranges();
  const auto range = std::ranges::lower_bound(ranges, uint32_t(code), {}, &ClassRange::last);
  return range != ranges.end() && range->first <= code ? range->type : CharClass::other;
}

}  // namespace detail

/// The class of any code point: a table for ASCII, a binary search beyond.
inline CharClass char_class(char32_t code) {
  static constexpr auto ascii = detail::ascii_classes();
  return code < ascii.size() ? ascii[code] : detail::search_class(code);
}

}  // namespace kappa
