#pragma once
// What stands before every page.

#include <optional>
#include <string_view>

#include "data/parquet/format.h"

namespace kappa::parquet {

struct PageHeader {
  size_t bytes = 0;  // of the header itself
  PageType type = PageType::data;
  int32_t size = 0, unpacked_size = 0;     // of the page that follows, in the file and decompressed
  std::optional<int32_t> crc = {};         // CRC-32 of the page as it is in the file
  int32_t values = 0;                      // of a dictionary: its entries; of data: nulls count
  Encoding encoding = Encoding::plain;     // of the values
  Encoding levels = Encoding::rle;         // of the definition levels; data pages of version 1
  int32_t nulls = 0;                       // version 2, as are the next three
  int32_t definition = 0, repetition = 0;  // bytes of levels, which stand before the values and are not compressed
  bool compressed = true;
};

/// Reads the header at the start of `bytes`. Throws InputError if it is damaged or lacks what its type needs.
PageHeader read_page_header(std::string_view bytes);

}  // namespace kappa::parquet
