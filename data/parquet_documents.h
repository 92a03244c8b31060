#pragma once
// Documents out of a Parquet file's column of strings.

#include <optional>

#include "data/documents.h"
#include "data/parquet/text_reader.h"

namespace kappa {

/// All rows that are not null, in order. Strings that are not UTF-8 are repaired.
class ParquetDocuments : public DocumentReader {
 public:
  /// Throws InputError as parquet::File does; if options.skip_damaged, a file that it refuses is one without documents.
  ParquetDocuments(const std::filesystem::path& path, const DocumentOptions& options);

  bool next(std::string& text) override;
  int64_t number() const override { return number_; }
  ReadCounts counts() const override { return counts_; }

 private:
  bool next_texts();

  std::optional<parquet::File> file_;
  std::optional<parquet::TextReader> reader_;
  bool skip_damaged_;
  int64_t next_row_group_ = 0;
  bool in_row_group_ = false;
  std::span<const std::string_view> texts_;
  ReadCounts counts_;
  int64_t number_ = 0;
};

/// Opens a file. If `skip_damaged`, nothing is given where that fails.
std::optional<parquet::File> open_parquet(const std::filesystem::path& path, const DocumentOptions& options);

/// Begins with a row group. If `skip_damaged`, it is read from end to end first, and false is given where that fails.
bool open_row_group(parquet::TextReader& reader, int64_t row_group, bool skip_damaged);

}  // namespace kappa
