#pragma once
// Small integers as runs: definition levels, and the indices of a dictionary.
//
// A run begins with a varint h. If h is even, one value follows, which stands h/2 times; if it is odd, (h >> 1)·8 values follow,
// packed into `width` bits each.

#include <cstdint>
#include <span>
#include <string_view>

namespace kappa::parquet {

class RunLengthDecoder {
 public:
  RunLengthDecoder() = default;
  /// `bytes` must outlive it. Throws InputError that begins with `what` if `width` is more than 32.
  RunLengthDecoder(std::string_view bytes, int width, const char* what);

  /// The next values. Throws InputError if there are not so many.
  void decode(std::span<uint32_t> out);

 private:
  void begin_run();

  std::string_view rest_;    // after the current run
  std::string_view packed_;  // the current run's values, where they are packed
  uint64_t left_ = 0;        // values of the current run
  uint64_t bit_ = 0;         // where in `packed_` the next one begins
  uint32_t value_ = 0;
  int width_ = 0;
  bool is_packed_ = false;
  const char* what_ = "";
};

}  // namespace kappa::parquet
