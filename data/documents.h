#pragma once
// Texts to learn from, document by document, whatever file they lie in.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

/// What was met while reading, besides documents.
struct ReadCounts {
  int64_t replacements = 0;  // ill-formed parts that became U+FFFD
  int64_t nulls = 0;         // rows without a text, which are no documents
  int64_t damaged = 0;       // row groups left out because a part of them cannot be read

  ReadCounts operator+(const ReadCounts& o) const {
    return {replacements + o.replacements, nulls + o.nulls, damaged + o.damaged};
  }
  bool operator==(const ReadCounts&) const = default;
};

/// Documents in a fixed order, read once from first to last, in memory one (or, of Parquet, one page of them) at a time. A new
/// file format is another subclass, and a line in open_documents().
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;
  /// The next document, well-formed UTF-8, perhaps empty; false at the end. Throws InputError naming the file, and the line or
  /// the row group and page.
  virtual bool next(std::string& text) = 0;
  /// Whether what came last goes on with what comes next: it is a part of a document (DocumentOptions::part_bytes).
  virtual bool continues() const { return false; }
  /// Of what was read so far.
  virtual ReadCounts counts() const { return {}; }
};

struct DocumentOptions {
  std::string field = "text";  // the Parquet column, the key in JSON Lines
  size_t part_bytes = 0;  // hand out plain text in parts of about so many, which have the split patterns' pieces of the whole;
                          // 0: whole
  bool skip_damaged = false;  // leave out Parquet row groups that cannot be read to their end, instead of throwing
};

/// Reads `path`: a .parquet file (all rows of a column of strings), a .jsonl, .jsonl.gz or .jsonl.zst file (a string of one JSON
/// object a line), any other file (plain text, one document), or a folder (its files of these names and .txt, in the order of
/// their names; subfolders and other files are left out). Throws InputError naming the path if it does not exist or there is
/// nothing to read.
std::unique_ptr<DocumentReader> open_documents(const std::filesystem::path& path, const DocumentOptions& options = {});

/// The documents of all these, one after the other.
std::unique_ptr<DocumentReader> open_documents(const std::vector<std::filesystem::path>& paths, const DocumentOptions& options);

/// The key data.validation: which documents are held out from training. Nothing if neither is set.
struct Validation {
  std::filesystem::path file;  // all documents of this file or folder
  int64_t every = 0;           // or documents every, 2·every, … of the training data, counted from 1

  /// A share s in (0, 1), which holds out every round(1/s)-th document, or else a file or a folder.
  /// Throws InputError if `value` is a number that is no share, or if there is no such file.
  static Validation parse(const std::string& value);
};

enum class Split { train, validation };

/// The documents of one split of `path`. Every call reads from the start.
std::unique_ptr<DocumentReader> open_split(const std::filesystem::path& path, const Validation& validation, Split split);

/// The next documents, until they have at least `bytes` together; empty at the end.
std::vector<std::string> read_batch(DocumentReader& reader, size_t bytes = size_t{16} << 20);

}  // namespace kappa
