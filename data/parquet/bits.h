#pragma once
// Integers of a few bits each, and variable-length ones, as all of Parquet's encodings use them.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/core/error.h"

namespace kappa::parquet {

static_assert(std::endian::native == std::endian::little, "Parquet's numbers are read as they lie in memory");

/// Bits [at, at + width) of `bytes` as a number, the least significant first; width ≤ 32. The bits must be there.
inline uint32_t bits_at(std::string_view bytes, uint64_t at, int width) {
  uint64_t word = 0;
  const size_t byte = size_t(at >> 3);
  if (bytes.size() - byte >= sizeof word)
    std::memcpy(&word, bytes.data() + byte, sizeof word);
  else
    std::memcpy(&word, bytes.data() + byte, bytes.size() - byte);
  return uint32_t(word >> (at & 7) & ((uint64_t{1} << width) - 1));
}

/// Takes `count` bytes off the front.
inline std::string_view take(std::string_view& bytes, uint64_t count, const char* what) {
  require(count <= bytes.size(), "{}: expected {} bytes, found {}", what, count, bytes.size());
  const std::string_view taken = bytes.substr(0, size_t(count));
  bytes.remove_prefix(size_t(count));
  return taken;
}

/// Takes an unsigned LEB128 number off the front.
inline uint64_t take_varint(std::string_view& bytes, const char* what) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = uint8_t(take(bytes, 1, what).front());
    value |= uint64_t(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  throw InputError(fmt::format("{}: expected an integer of at most 10 bytes, found a longer one", what));
}

inline int64_t take_zigzag(std::string_view& bytes, const char* what) {
  const uint64_t value = take_varint(bytes, what);
  return int64_t(value >> 1) ^ -int64_t(value & 1);
}

}  // namespace kappa::parquet
