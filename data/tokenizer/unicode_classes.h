#pragma once
// The classes of characters that split patterns tell apart, by Unicode 17.0.
// (As the Python package regex 2026.5.9 has them. Versions differ only in newly assigned characters, which here are `other`.)

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kappa {

/// A set of classes, one bit each.
using CharSet = uint8_t;

/// Every character is in one class; CR and LF are `newline` besides.
namespace char_class {
inline constexpr CharSet other = 1, mark = 2, upper = 4, lower = 8, caseless = 16, number = 32, space = 64, newline = 128;
// In the words of regular expressions: mark \p{M}, upper [\p{Lu}\p{Lt}], lower \p{Ll}, caseless [\p{Lm}\p{Lo}], number \p{N},
// space \s (White_Space), newline [\r\n], and
inline constexpr CharSet letter = upper | lower | caseless;  // \p{L}
}  // namespace char_class

struct ClassRange {
  uint32_t first, last;  // code points, inclusive
  CharSet type;
};

/// All ranges that are not `other`, ascending and disjoint.
std::span<const ClassRange> class_ranges();

namespace detail {

constexpr std::array<CharSet, 256> ascii_classes() {
  using namespace char_class;
  std::array<CharSet, 256> classes{};
  const auto set = [&](int first, int last, CharSet type) {
    for (int c = first; c <= last; ++c) classes[size_t(c)] = type;
  };
  set(0, 0x7F, other);
  set('\t', '\r', space), set(' ', ' ', space);
  set('\n', '\n', space | newline), set('\r', '\r', space | newline);
  set('0', '9', number), set('A', 'Z', upper), set('a', 'z', lower);
  return classes;
}

/// The ranges as a table in two stages: blocks of 256 characters, each different one once.
struct ClassTable {
  std::array<uint16_t, 0x1100> block{};
  std::vector<std::array<CharSet, 256>> classes;
};
extern const ClassTable class_table;

}  // namespace detail

/// By byte: the classes of an ASCII character, none of a byte that begins or continues a longer one.
inline constexpr std::array<CharSet, 256> ascii_classes = detail::ascii_classes();

/// The class of a code point, at most 0x10FFFF.
inline CharSet classes_of(char32_t code) {
  return code < 0x80 ? ascii_classes[code] : detail::class_table.classes[detail::class_table.block[code >> 8]][code & 0xFF];
}

}  // namespace kappa
