#pragma once
// A Parquet file seen as texts: one column of strings, row group by row group.
//
//     const parquet::File file("shard_00000.parquet");
//     parquet::TextReader reader(file);
//     for (int64_t g = 0; g < file.row_groups(); ++g) {
//       reader.open(g);
//       for (auto texts = reader.next(); !texts.empty(); texts = reader.next()) …
//     }
//
// Read are data pages of both versions, PLAIN, dictionary, DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY strings, required or
// optional, without compression or with SNAPPY, GZIP, ZSTD, and, where the program was built with them, LZ4_RAW and BROTLI. A
// page's CRC is checked where there is one.
//
// A file is never believed: every length is held against what is really there before memory is taken for it. What is in memory
// at a time is the dictionary and one page, at most 1 GiB each (parquet::largest_page), however large the file is.

#include <filesystem>
#include <optional>

#include "data/parquet/footer.h"
#include "engine/core/file.h"

namespace kappa::parquet {

class File {
 public:
  /// Maps a file and reads its footer. Throws InputError that begins with the path: if it cannot be read, if this is no Parquet
  /// file, if it has no top-level column of strings named `column`, or if that is compressed in a way that this program lacks.
  explicit File(const std::filesystem::path& path, std::string_view column = "text");
  /// The same of bytes in memory, which must outlive it; `name` is what errors begin with.
  static File of_bytes(std::string_view bytes, std::string name, std::string_view column = "text") {
    return {bytes, std::move(name), column};
  }

  const std::string& name() const { return name_; }
  const Footer& footer() const { return footer_; }
  std::string_view bytes() const { return bytes_; }
  int64_t row_groups() const { return int64_t(footer_.row_groups.size()); }
  int64_t rows(int64_t row_group) const { return footer_.row_groups[size_t(row_group)].rows; }

  /// Says that bytes [begin, end) will hardly be looked at again, so that they need not stay in memory.
  void release(size_t begin, size_t end) const {
    if (map_) map_->release(begin, end);
  }

 private:
  File(std::string_view bytes, std::string name, std::string_view column);

  std::optional<MappedFile> map_;
  std::string_view bytes_;
  std::string name_;
  Footer footer_;
};

}  // namespace kappa::parquet
