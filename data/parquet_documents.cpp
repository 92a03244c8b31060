#include "data/parquet_documents.h"

#include "data/utf8.h"
#include "engine/core/error.h"

namespace kappa {

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
    : file_(path, options.field), reader_(file_), skip_damaged_(options.skip_damaged) {}

/// The next rows, of any row group; false at the end of the file.
bool ParquetDocuments::next_texts() {
  for (;;) {
    if (in_row_group_) texts_ = reader_.next();
    if (!texts_.empty()) return true;
    if (next_row_group_ == file_.row_groups()) return in_row_group_ = false;
    in_row_group_ = open_row_group(reader_, next_row_group_++, skip_damaged_);
    counts_.damaged += !in_row_group_;
  }
}

bool ParquetDocuments::next(std::string& text) {
  for (;;) {
    if (texts_.empty() && !next_texts()) return false;
    const std::string_view row = texts_.front();
    texts_ = texts_.subspan(1);
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
