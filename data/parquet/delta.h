#pragma once
// DELTA_BINARY_PACKED: 32-bit integers as differences, here the lengths of strings.
//
//     block size, miniblocks a block, count, first value      then, for every block:
//     smallest difference, a bit width a miniblock, and the differences less the smallest, packed miniblock by miniblock
//
// Decoded value by value, so that a count that lies costs nothing.

#include <cstdint>
#include <span>
#include <string_view>

namespace kappa::parquet {

class DeltaDecoder {
 public:
  DeltaDecoder() = default;
  /// Reads the header. `bytes` must outlive the decoder. Throws InputError that begins with `what`.
  DeltaDecoder(std::string_view bytes, const char* what);

  /// How many values are still to come.
  uint64_t left() const { return left_; }
  /// The next values. Throws InputError if there are not so many, or if one is negative.
  void decode(std::span<uint32_t> lengths);
  /// What comes after all values.
  std::string_view behind() const;

 private:
  void begin_block();
  void begin_miniblock();

  std::string_view rest_;    // after the current miniblock
  std::string_view widths_;  // of the miniblocks of this block that are still to come
  std::string_view packed_;  // the current miniblock
  uint64_t left_ = 0, in_miniblock_ = 0, bit_ = 0;
  uint64_t miniblocks_ = 0, miniblock_size_ = 0;
  uint32_t smallest_ = 0, value_ = 0;  // modulo 2³², as the writers subtract
  int width_ = 0;
  bool first_ = true;
  const char* what_ = "";
};

}  // namespace kappa::parquet
