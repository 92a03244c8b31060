#pragma once
// Parquet files put together page by page, right or wrong: what a reader is tested with. Written from the format's description,
// beside the reader and without its code; only the names of format.h are shared.

#include <optional>
#include <string>
#include <vector>

#include "data/parquet/format.h"

namespace kappa::test {

struct TestPage {
  parquet::PageType type = parquet::PageType::data;
  int32_t values = 0;
  std::string body = {};  // as it stands in the file
  parquet::Encoding encoding = parquet::Encoding::plain;
  int32_t nulls = 0, definition = 0;  // version 2
  bool compressed = true;
  std::optional<int32_t> unpacked = {}, size = {};  // where they are not the body's size
  std::optional<uint32_t> crc = {};
};

struct TestRowGroup {
  int64_t rows = 0;
  std::vector<TestPage> pages = {};
  parquet::Codec codec = parquet::Codec::none;
};

/// A file with one column of strings named `text`.
std::string parquet_file(const std::vector<TestRowGroup>& row_groups, bool optional = false);

/// Strings in the encoding PLAIN.
std::string plain(const std::vector<std::string>& texts);

/// A row group of one page of these strings; nullopt is a null, which makes the page one of an optional column.
TestRowGroup plain_row_group(const std::vector<std::string>& texts);
TestRowGroup optional_row_group(const std::vector<std::optional<std::string>>& texts);

std::string varint(uint64_t value);
/// Numbers of `width` bits each, the least significant bit first, filled up to whole bytes.
std::string packed_bits(const std::vector<uint32_t>& numbers, int width);
/// Numbers in the encoding DELTA_BINARY_PACKED, in blocks of 128 with 4 miniblocks.
std::string delta_packed(const std::vector<int32_t>& numbers);

/// A struct in Thrift's compact protocol.
class ThriftWriter {
 public:
  ThriftWriter& integer(int id, int64_t value, int type = 5);
  ThriftWriter& boolean(int id, bool value);
  ThriftWriter& binary(int id, const std::string& bytes);
  ThriftWriter& structure(int id, const ThriftWriter& inner);
  ThriftWriter& structures(int id, const std::vector<ThriftWriter>& elements);
  std::string bytes() const { return bytes_ + '\0'; }

 private:
  void header(int id, int type);
  std::string bytes_;
  int last_ = 0;
};

/// A file of this footer and, before it, these bytes.
std::string with_footer(const std::string& pages, const ThriftWriter& footer);

}  // namespace kappa::test
