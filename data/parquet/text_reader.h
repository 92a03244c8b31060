#pragma once
// The texts of a row group, page by page.

#include <span>
#include <vector>

#include "data/parquet/codec.h"
#include "data/parquet/file.h"
#include "data/parquet/page_header.h"
#include "data/parquet/strings.h"

namespace kappa::parquet {

class TextReader {
 public:
  /// `file` must outlive it and stay where it is.
  explicit TextReader(const File& file) : file_(file) {}

  /// Begins with a row group, 0 ≤ row_group < file.row_groups(). Throws InputError naming file and row group if its pages do not
  /// lie within the file.
  void open(int64_t row_group);

  /// The next texts in the order of rows, 1 to decoded_at_once of them; none at the end of the row group. A null is a view whose
  /// data() is nullptr. The views are of the file or of buffers of this reader and hold until the next call. Throws InputError
  /// naming file, row group and page (counted from 0, a dictionary's too) if the page is damaged; the reader then has to be
  /// opened anew, for this row group or another one.
  std::span<const std::string_view> next();

 private:
  bool next_page();
  void release_passed();
  void begin_dictionary(const PageHeader& header, std::string_view page);
  void begin_data(const PageHeader& header, std::string_view page);
  void begin_data_2(const PageHeader& header, std::string_view page);
  void begin_values(const PageHeader& header, std::string_view levels, std::string_view values);
  void end_values() const;
  std::span<const std::string_view> next_texts();
  std::span<const std::string_view> next_optional_texts();
  /// Body's errors, with where they happened before them.
  template <class Body>
  auto located(Body&& body) const;

  const File& file_;
  const ColumnChunk* chunk_ = nullptr;
  int64_t row_group_ = 0, page_ = -1;
  int64_t rows_left_ = 0;   // of the row group, in pages that were not begun
  std::string_view pages_;  // not begun
  size_t released_ = 0;     // bytes of the file before it were given back

  Decompressor decompress_;
  Buffer dictionary_bytes_, page_bytes_;
  std::optional<std::vector<std::string_view>> dictionary_;

  // The page in hand.
  int64_t page_rows_ = 0;  // whose levels were not read
  int64_t nulls_ = 0;      // read
  int64_t expected_nulls_ = -1;
  RunLengthDecoder levels_;
  StringDecoder values_;

  std::array<uint32_t, decoded_at_once> present_;  // levels read ahead: 0 is a null
  size_t levels_used_ = 0, levels_known_ = 0;
  std::array<std::string_view, decoded_at_once> strings_, texts_;
};

}  // namespace kappa::parquet
