#include "tests/support/parquet_writer.h"

#include <algorithm>
#include <cstring>

namespace kappa::test {

using namespace kappa::parquet;

namespace {

std::string little_endian(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += char(value >> 8 * i & 255);
  return bytes;
}

std::string zigzag(int64_t value) { return varint(uint64_t(value) << 1 ^ uint64_t(value >> 63)); }

std::string page_bytes(const TestPage& page) {
  const auto size = int32_t(page.body.size());
  ThriftWriter header, values;
  header.integer(1, int(page.type)).integer(2, page.unpacked.value_or(size)).integer(3, page.size.value_or(size));
  if (page.crc) header.integer(4, int32_t(*page.crc));
  values.integer(1, page.values);
  switch (page.type) {
    case PageType::data:
      values.integer(2, int(page.encoding)).integer(3, int(Encoding::rle)).integer(4, int(Encoding::rle));
      header.structure(5, values);
      break;
    case PageType::dictionary:
      values.integer(2, int(page.encoding));
      header.structure(7, values);
      break;
    case PageType::data_v2:
      values.integer(2, page.nulls)
          .integer(3, page.values)
          .integer(4, int(page.encoding))
          .integer(5, page.definition)
          .integer(6, 0);
      values.boolean(7, page.compressed);
      header.structure(8, values);
      break;
    case PageType::index:
      break;
  }
  return header.bytes() + page.body;
}

}  // namespace

void ThriftWriter::header(int id, int type) {
  const int step = id - last_;
  bytes_ += step > 0 && step < 16 ? std::string(1, char(step << 4 | type)) : std::string(1, char(type)) + zigzag(id);
  last_ = id;
}

ThriftWriter& ThriftWriter::integer(int id, int64_t value, int type) {
  header(id, type);
  bytes_ += zigzag(value);
  return *this;
}

ThriftWriter& ThriftWriter::boolean(int id, bool value) {
  header(id, value ? 1 : 2);
  return *this;
}

ThriftWriter& ThriftWriter::binary(int id, const std::string& bytes) {
  header(id, 8);
  bytes_ += varint(bytes.size()) + bytes;
  return *this;
}

ThriftWriter& ThriftWriter::structure(int id, const ThriftWriter& inner) {
  header(id, 12);
  bytes_ += inner.bytes();
  return *this;
}

ThriftWriter& ThriftWriter::structures(int id, const std::vector<ThriftWriter>& elements) {
  header(id, 9);
  const size_t n = elements.size();
  bytes_ += n < 15 ? std::string(1, char(n << 4 | 12)) : char(0xFC) + varint(n);
  for (const auto& e : elements) bytes_ += e.bytes();
  return *this;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes += char(value | 128);
  return bytes + char(value);
}

std::string packed_bits(const std::vector<uint32_t>& numbers, int width) {
  std::vector<bool> bits;
  for (const uint32_t n : numbers)
    for (int i = 0; i < width; ++i) bits.push_back(n >> i & 1);
  std::string bytes((bits.size() + 7) / 8, '\0');
  for (size_t i = 0; i < bits.size(); ++i)
    if (bits[i]) bytes[i / 8] = char(uint8_t(bytes[i / 8]) | 1 << i % 8);
  return bytes;
}

std::string delta_packed(const std::vector<int32_t>& numbers) {
  std::string bytes = varint(128) + varint(4) + varint(numbers.size()) + zigzag(numbers.empty() ? 0 : numbers[0]);
  for (size_t block = 1; block < numbers.size(); block += 128) {
    std::vector<int64_t> steps;
    for (size_t i = block; i < std::min(block + 128, numbers.size()); ++i) steps.push_back(int64_t{numbers[i]} - numbers[i - 1]);
    const int64_t smallest = *std::min_element(steps.begin(), steps.end());
    std::string widths, packed;
    for (size_t mini = 0; mini < 128; mini += 32) {
      std::vector<uint32_t> part(mini < steps.size() ? 32 : 0);
      for (size_t i = mini; i < std::min(mini + 32, steps.size()); ++i) part[i - mini] = uint32_t(steps[i] - smallest);
      int width = 0;
      for (const uint32_t n : part)
        while (width < 32 && n >> width) ++width;
      widths += char(width);
      packed += packed_bits(part, width);
    }
    (bytes += zigzag(smallest)).append(widths).append(packed);
  }
  return bytes;
}

std::string plain(const std::vector<std::string>& texts) {
  std::string bytes;
  for (const auto& text : texts) bytes += little_endian(uint32_t(text.size())) + text;
  return bytes;
}

TestRowGroup plain_row_group(const std::vector<std::string>& texts) {
  return {.rows = int64_t(texts.size()), .pages = {{.values = int32_t(texts.size()), .body = plain(texts)}}};
}

TestRowGroup optional_row_group(const std::vector<std::optional<std::string>>& texts) {
  std::vector<uint32_t> levels;
  std::vector<std::string> present;
  for (const auto& text : texts) {
    levels.push_back(text.has_value());
    if (text) present.push_back(*text);
  }
  levels.resize((levels.size() + 7) / 8 * 8);
  const std::string runs = varint(levels.size() / 8 << 1 | 1) + packed_bits(levels, 1);
  return {.rows = int64_t(texts.size()),
          .pages = {{.values = int32_t(texts.size()), .body = little_endian(uint32_t(runs.size())) + runs + plain(present)}}};
}

std::string with_footer(const std::string& pages, const ThriftWriter& footer) {
  const std::string bytes = footer.bytes();
  return "PAR1" + pages + bytes + little_endian(uint32_t(bytes.size())) + "PAR1";
}

std::string parquet_file(const std::vector<TestRowGroup>& row_groups, bool optional) {
  constexpr int i64 = 6;
  std::string pages;
  std::vector<ThriftWriter> groups;
  int64_t rows = 0;
  for (const TestRowGroup& g : row_groups) {
    const auto begin = int64_t(pages.size()) + 4;
    for (const TestPage& page : g.pages) pages += page_bytes(page);
    const int64_t size = int64_t(pages.size()) + 4 - begin;
    const bool has_dictionary = !g.pages.empty() && g.pages[0].type == PageType::dictionary;
    ThriftWriter metadata;
    metadata.integer(1, int(Physical::byte_array)).integer(4, int(g.codec)).integer(5, g.rows, i64);
    metadata.integer(6, size, i64).integer(7, size, i64).integer(9, begin, i64);
    if (has_dictionary) metadata.integer(11, begin, i64);
    groups.push_back(ThriftWriter()
                         .structures(1, {ThriftWriter().integer(2, begin, i64).structure(3, metadata)})
                         .integer(2, size, i64)
                         .integer(3, g.rows, i64));
    rows += g.rows;
  }
  return with_footer(
      pages,
      ThriftWriter()
          .integer(1, 2)
          .structures(
              2,
              {ThriftWriter().binary(4, "schema").integer(5, 1),
               ThriftWriter().integer(1, int(Physical::byte_array)).integer(3, optional ? 1 : 0).binary(4, "text").integer(6, 0)})
          .integer(3, rows, i64)
          .structures(4, groups)
          .binary(6, "test"));
}

}  // namespace kappa::test
