#include "data/parquet/text_reader.h"

#include <algorithm>

#include "data/checksum.h"
#include "data/parquet/bits.h"

namespace kappa::parquet {

template <class Body>
auto TextReader::located(Body&& body) const {
  try {
    return body();
  } catch (const InputError& error) {
    const std::string page = page_ < 0 ? "" : fmt::format(", page {}", page_);
    throw InputError(fmt::format("{}: row group {}{}: {}", file_.name(), row_group_, page, error.what()));
  }
}

void TextReader::open(int64_t row_group) {
  row_group_ = row_group;
  page_ = -1;
  page_rows_ = 0, levels_used_ = 0, levels_known_ = 0;
  dictionary_.reset();
  const RowGroup& g = file_.footer().row_groups[size_t(row_group)];
  chunk_ = &g.column;
  rows_left_ = g.rows;
  pages_ = located([&] { return column_bytes(file_.bytes(), g); });
  released_ = size_t(pages_.data() - file_.bytes().data());
}

std::span<const std::string_view> TextReader::next() {
  return located([&]() -> std::span<const std::string_view> {
    while (page_rows_ == 0 && levels_used_ == levels_known_) {
      if (page_ >= 0) end_values();
      if (!next_page()) return {};
    }
    return file_.footer().optional ? next_optional_texts() : next_texts();
  });
}

/// Keeps no more than a few MiB of a mapped file in memory.
void TextReader::release_passed() {
  constexpr size_t step = size_t{16} << 20;
  const auto passed = size_t(pages_.data() - file_.bytes().data());
  if (passed < released_ + step) return;
  file_.release(released_, passed);
  released_ = passed;
}

/// Begins the next page, of data or not; false when all rows were had.
bool TextReader::next_page() {
  release_passed();
  values_ = StringDecoder();
  nulls_ = 0, expected_nulls_ = -1;
  if (rows_left_ == 0) return false;
  ++page_;
  require(!pages_.empty(), "expected pages with {} more rows, found the end of the column", rows_left_);
  const PageHeader header = read_page_header(pages_);
  pages_.remove_prefix(header.bytes);
  const std::string_view page = take(pages_, uint64_t(header.size), "page");
  if (header.crc) {
    const auto found = crc32_of(std::as_bytes(std::span(page)));
    require(found == uint32_t(*header.crc), "expected the CRC {:08x}, found {:08x}", uint32_t(*header.crc), found);
  }
  switch (header.type) {
    case PageType::data:
      begin_data(header, page);
      break;
    case PageType::data_v2:
      begin_data_2(header, page);
      break;
    case PageType::dictionary:
      begin_dictionary(header, page);
      break;
    default:  // an index, or what is not invented yet
      break;
  }
  return true;
}

void TextReader::begin_dictionary(const PageHeader& header, std::string_view page) {
  require(!dictionary_, "expected one dictionary, found a second");
  require(header.encoding == Encoding::plain || header.encoding == Encoding::plain_dictionary,
          "expected a dictionary encoded as PLAIN, found {}", to_string(header.encoding));
  const std::string_view bytes = decompress_(chunk_->codec, page, header.unpacked_size, dictionary_bytes_);
  require(size_t(header.values) <= bytes.size() / 4, "{} strings in a dictionary of {} bytes", header.values, bytes.size());
  dictionary_.emplace(size_t(header.values));
  PlainStrings(bytes).decode(*dictionary_);
}

void TextReader::begin_data(const PageHeader& header, std::string_view page) {
  std::string_view values = decompress_(chunk_->codec, page, header.unpacked_size, page_bytes_), levels;
  if (file_.footer().optional) {
    require(header.levels == Encoding::rle, "definition levels: expected the encoding RLE, found {}", to_string(header.levels));
    const uint32_t size = bits_at(take(values, 4, "size of definition levels"), 0, 32);
    levels = take(values, size, "definition levels");
  }
  begin_values(header, levels, values);
}

void TextReader::begin_data_2(const PageHeader& header, std::string_view page) {
  expected_nulls_ = header.nulls;
  take(page, uint64_t(header.repetition), "repetition levels");
  const std::string_view levels = take(page, uint64_t(header.definition), "definition levels");
  const int64_t size = int64_t{header.unpacked_size} - header.repetition - header.definition;
  begin_values(header, levels, decompress_(header.compressed ? chunk_->codec : Codec::none, page, size, page_bytes_));
}

void TextReader::begin_values(const PageHeader& header, std::string_view levels, std::string_view values) {
  require(header.values <= rows_left_, "expected at most the {} rows that are left, found {}", rows_left_, header.values);
  page_rows_ = header.values;
  rows_left_ -= header.values;
  levels_ = RunLengthDecoder(levels, 1, "definition levels");
  values_ = StringDecoder(header.encoding, values, dictionary_ ? &*dictionary_ : nullptr);
}

void TextReader::end_values() const {
  require(values_.left_over() == 0, "expected the page to end with its last string, found {} more bytes", values_.left_over());
  require(expected_nulls_ < 0 || nulls_ == expected_nulls_, "expected {} nulls, found {}", expected_nulls_, nulls_);
}

std::span<const std::string_view> TextReader::next_texts() {
  const size_t count = values_.decode(std::span(texts_).first(size_t(std::min<int64_t>(page_rows_, decoded_at_once))));
  page_rows_ -= int64_t(count);
  return std::span(texts_).first(count);
}

std::span<const std::string_view> TextReader::next_optional_texts() {
  if (levels_used_ == levels_known_) {
    levels_used_ = 0;
    levels_known_ = size_t(std::min<int64_t>(page_rows_, decoded_at_once));
    page_rows_ -= int64_t(levels_known_);
    levels_.decode(std::span(present_).first(levels_known_));
    nulls_ += std::count(present_.begin(), present_.begin() + ptrdiff_t(levels_known_), 0u);
  }
  const auto levels = std::span(present_).subspan(levels_used_, levels_known_ - levels_used_);
  const auto wanted = size_t(levels.size()) - size_t(std::ranges::count(levels, 0u));
  const size_t decoded = wanted == 0 ? 0 : values_.decode(std::span(strings_).first(wanted));
  if (wanted == levels.size()) {
    levels_used_ += decoded;
    return std::span(strings_).first(decoded);
  }
  // Up to the null or string that is behind the last decoded one.
  size_t count = 0, used = 0;
  for (; count < levels.size() && (levels[count] == 0 || used < decoded); ++count)
    texts_[count] = levels[count] == 0 ? std::string_view() : strings_[used++];
  levels_used_ += count;
  return std::span(texts_).first(count);
}

}  // namespace kappa::parquet
