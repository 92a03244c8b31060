#include "data/parquet/run_length.h"

#include <algorithm>

#include "data/parquet/bits.h"

namespace kappa::parquet {

RunLengthDecoder::RunLengthDecoder(std::string_view bytes, int width, const char* what)
    : rest_(bytes), width_(width), what_(what) {
  require(width >= 0 && width <= 32, "{}: expected at most 32 bits, found {}", what, width);
}

void RunLengthDecoder::begin_run() {
  const uint64_t header = take_varint(rest_, what_);
  is_packed_ = header & 1;
  if (is_packed_) {
    // More groups than any page has would only overflow; of the last, the bytes of values that nobody asks for may lack.
    const uint64_t groups = std::min(header >> 1, uint64_t{1} << 32), width = uint64_t(width_);
    packed_ = take(rest_, std::min<uint64_t>(groups * width, rest_.size()), what_);
    left_ = width == 0 ? groups * 8 : std::min<uint64_t>(groups * 8, packed_.size() * 8 / width);
    bit_ = 0;
  } else {
    left_ = header >> 1;
    const std::string_view bytes = take(rest_, uint64_t(width_ + 7) / 8, what_);
    value_ = bytes.empty() ? 0 : bits_at(bytes, 0, int(bytes.size()) * 8);
    require(width_ == 32 || value_ >> width_ == 0, "{}: expected a value of {} bits, found {}", what_, width_, value_);
  }
}

void RunLengthDecoder::decode(std::span<uint32_t> out) {
  while (!out.empty()) {
    while (left_ == 0) begin_run();
    const auto count = size_t(std::min<uint64_t>(left_, out.size()));
    if (!is_packed_) {
      std::fill_n(out.begin(), count, value_);
    } else {
      for (size_t i = 0; i < count; ++i, bit_ += uint64_t(width_)) out[i] = width_ > 0 ? bits_at(packed_, bit_, width_) : 0;
    }
    left_ -= count;
    out = out.subspan(count);
  }
}

}  // namespace kappa::parquet
