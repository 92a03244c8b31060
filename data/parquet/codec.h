#pragma once
// Pages as they are in the file, and as they were before compression.

#include <algorithm>
#include <memory>
#include <string_view>

#include "data/parquet/format.h"

namespace kappa::parquet {

/// No page may be larger than this, compressed or not.
inline constexpr int64_t largest_page = int64_t{1} << 30;

/// Memory that only grows and is not cleared.
class Buffer {
 public:
  /// At least `size` bytes; what was in it is lost.
  char* reserve(size_t size) {
    if (size > capacity_) {
      const size_t grown = std::max(size, capacity_ + capacity_ / 2);
      bytes_ = nullptr, capacity_ = 0;
      bytes_.reset(new char[grown]);
      capacity_ = grown;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
};

/// Throws InputError naming the codec if this program cannot read it.
void require_codec(Codec codec);

/// The codecs' working memory, kept from page to page.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;

  /// The `size` bytes that `packed` holds, in `buffer`; without compression `packed` itself. Throws InputError naming the codec
  /// if they are not what it holds. No memory is taken before `size` was found possible: at most largest_page, and at most what
  /// the codec's format can hold in so few bytes.
  std::string_view operator()(Codec codec, std::string_view packed, int64_t size, Buffer& buffer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kappa::parquet
