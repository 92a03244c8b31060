#include "data/parquet_documents.h"

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace kappa {

std::optional<parquet::File> open_parquet(const std::filesystem::path& path, const DocumentOptions& options) {
  try {
    return parquet::File(path, options.field);
  } catch (const InputError&) {
    if (!options.skip_damaged) throw;
    return std::nullopt;
  }
}

bool open_row_group(parquet::TextReader& reader, int64_t row_group, bool skip_damaged) {
  if (skip_damaged) {
    try {
      for (reader.open(row_group); !reader.next().empty();) continue;
    } catch (const InputError&) {
      return false;
    }
  }
  reader.open(row_group);
  return true;
}

ParquetDocuments::ParquetDocuments(const std::filesystem::path& path, const DocumentOptions& options)
    : file_(open_parquet(path, options)), skip_damaged_(options.skip_damaged) {
  if (file_) reader_.emplace(*file_);
  counts_.damaged_files = !file_;
}

/// The next rows, of any row group; false at the end of the file.
bool ParquetDocuments::next_texts() {
  for (;;) {
    if (in_row_group_) texts_ = reader_->next();
    if (!texts_.empty()) return true;
    if (!file_ || next_row_group_ == file_->row_groups()) return in_row_group_ = false;
    const int64_t row_group = next_row_group_++;
    in_row_group_ = open_row_group(*reader_, row_group, skip_damaged_);
    if (in_row_group_) continue;
    ++counts_.damaged;
    number_ += file_->rows(row_group);
  }
}

bool ParquetDocuments::next(std::string& text) {
  for (;;) {
    if (texts_.empty() && !next_texts()) return false;
    const std::string_view row = texts_.front();
    texts_ = texts_.subspan(1);
    ++number_;
    if (row.data() == nullptr) {
      ++counts_.nulls;
      continue;
    }
    text.assign(row);
    if (!is_utf8(text)) {
      RepairedText repaired = repair_utf8(std::move(text));
      counts_.replacements += repaired.replacements;
      text = std::move(repaired.text);
    }
    return true;
  }
}

}  // namespace kappa
