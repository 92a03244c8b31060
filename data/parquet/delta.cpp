#include "data/parquet/delta.h"

#include <algorithm>
#include <limits>

#include "data/parquet/bits.h"

namespace kappa::parquet {

DeltaDecoder::DeltaDecoder(std::string_view bytes, const char* what) : rest_(bytes), what_(what) {
  const uint64_t block_size = take_varint(rest_, what);
  miniblocks_ = take_varint(rest_, what);
  left_ = take_varint(rest_, what);
  value_ = uint32_t(take_zigzag(rest_, what));
  constexpr uint64_t most = std::numeric_limits<int32_t>::max();
  require(block_size <= most && miniblocks_ > 0 && block_size % miniblocks_ == 0,
          "{}: expected blocks of miniblocks, found {} of {}", what, block_size, miniblocks_);
  miniblock_size_ = block_size / miniblocks_;
  require(miniblock_size_ > 0 && miniblock_size_ % 32 == 0, "{}: expected miniblocks of a multiple of 32 values, found {}", what,
          miniblock_size_);
  require(left_ <= most, "{}: expected a count of values, found {}", what, left_);
}

void DeltaDecoder::begin_block() {
  smallest_ = uint32_t(take_zigzag(rest_, what_));
  widths_ = take(rest_, miniblocks_, what_);
}

void DeltaDecoder::begin_miniblock() {
  if (widths_.empty()) begin_block();
  width_ = uint8_t(take(widths_, 1, what_).front());
  require(width_ <= 32, "{}: expected differences of at most 32 bits, found {}", what_, width_);
  packed_ = take(rest_, miniblock_size_ / 8 * uint64_t(width_), what_);
  in_miniblock_ = miniblock_size_;
  bit_ = 0;
}

void DeltaDecoder::decode(std::span<uint32_t> lengths) {
  require(lengths.size() <= left_, "{}: expected {} more values, found {}", what_, lengths.size(), left_);
  for (size_t i = 0; i < lengths.size();) {
    if (first_) {
      first_ = false;
      lengths[i++] = value_;
      --left_;
      continue;
    }
    if (in_miniblock_ == 0) begin_miniblock();
    const size_t end = i + size_t(std::min<uint64_t>(in_miniblock_, lengths.size() - i));
    in_miniblock_ -= end - i, left_ -= end - i;
    for (; i < end; ++i, bit_ += uint64_t(width_))
      lengths[i] = value_ += smallest_ + (width_ > 0 ? bits_at(packed_, bit_, width_) : 0);
  }
  for (const uint32_t length : lengths)
    require(length <= uint32_t(std::numeric_limits<int32_t>::max()), "{}: expected a length, found {}", what_, int32_t(length));
}

std::string_view DeltaDecoder::behind() const {
  DeltaDecoder other = *this;
  if (other.first_ && other.left_ > 0) other.first_ = false, --other.left_;
  other.left_ -= std::min(other.left_, other.in_miniblock_);
  for (; other.left_ > 0; other.left_ -= std::min(other.left_, other.miniblock_size_)) other.begin_miniblock();
  return other.rest_;
}

}  // namespace kappa::parquet
