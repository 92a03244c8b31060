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
  int64_t replacements = 0;   // ill-formed parts that became U+FFFD
  int64_t nulls = 0;          // rows without a text, which are no documents
  int64_t damaged = 0;        // row groups of Parquet and lines of JSON that were left out, because they cannot be read
  int64_t damaged_files = 0;  // files that were left out, or the rest of them

  int64_t left_out() const { return damaged + damaged_files; }
  ReadCounts operator+(const ReadCounts& o) const {
    return {replacements + o.replacements, nulls + o.nulls, damaged + o.damaged, damaged_files + o.damaged_files};
  }
  ReadCounts operator-(const ReadCounts& o) const {
    return {replacements - o.replacements, nulls - o.nulls, damaged - o.damaged, damaged_files - o.damaged_files};
  }
  bool operator==(const ReadCounts&) const = default;
};

/// "1 row groups or lines, 2 files", of what was left out as damaged.
std::string described(const ReadCounts& counts);

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
  /// The place of the document that came last, from 1, rows without a text counted; at the end, how many places there are.
  virtual int64_t number() const = 0;
  /// Leaves out the next document; false at the end. May see less of what is wrong with it.
  virtual bool skip() {
    std::string skipped;
    return next(skipped);
  }
  /// Of what was read so far.
  virtual ReadCounts counts() const { return {}; }
};

struct DocumentOptions {
  std::string field = "text";  // the Parquet column, the key in JSON Lines
  size_t part_bytes = 0;  // hand out plain text in parts of about so many, which have the split patterns' pieces of the whole;
                          // 0: whole
  bool skip_damaged = false;  // leave out and count what cannot be read: row groups of Parquet, lines of JSON, files
};

/// Reads `path`: a .parquet file (all rows of a column of strings), a .jsonl, .jsonl.gz or .jsonl.zst file (a string of one JSON
/// object a line), any other file (plain text, one document), or a folder (its files of these names and .txt, in the order of
/// their names; subfolders and other files are left out). Throws InputError naming the path if it does not exist or there is
/// nothing to read.
std::unique_ptr<DocumentReader> open_documents(const std::filesystem::path& path, const DocumentOptions& options = {});

/// The documents of all these, one after the other.
std::unique_ptr<DocumentReader> open_documents(const std::vector<std::filesystem::path>& paths, const DocumentOptions& options);

/// data.validation and --validation: which documents are held out from training. Nothing if neither is set.
struct Validation {
  std::filesystem::path file;  // all documents of this file or folder
  int64_t every = 0;           // or documents every, 2·every, … of the training data, counted from 1

  /// A share s in (0, 1), which holds out every round(1/s)-th document, or else a file or a folder.
  /// Throws InputError, which does not name the key, if `value` is a number that is no share, or if there is no such file.
  static Validation parse(const std::string& value);
};

enum class Split { train, validation };

/// A share of the documents, by their numbers: every, 2·every, … are for validation, all others for training.
struct Share {
  int64_t every = 0;  // 0: all documents, whatever the split
  Split split = Split::train;

  /// DocumentReader::number()
  bool has(int64_t number) const { return every == 0 || (number % every == 0) == (split == Split::validation); }
};

/// The files of a text that can be read again and again: `path` itself, or those of a folder (as open_documents(), but of one
/// with .parquet files only these). Throws InputError naming the path if there are none.
std::vector<std::filesystem::path> text_files(const std::filesystem::path& path);

/// The text_files() of `path` that a split is read from, in order. Where `validation` names a file, that is for validation, and
/// no longer for training; where it names nothing, the last file of a folder of Parquet or JSON Lines is. Throws InputError
/// naming the path if the split has no files.
std::vector<std::filesystem::path> split_files(const std::filesystem::path& path, const Validation& validation, Split split);

bool is_parquet(const std::filesystem::path& path);

/// The share of the documents of `files`, one file after the other.
std::unique_ptr<DocumentReader> open_files(std::vector<std::filesystem::path> files, const DocumentOptions& options,
                                           const Share& share = {});

/// The documents of one split of `path`: of split_files(), the share. Every call reads from the start.
std::unique_ptr<DocumentReader> open_split(const std::filesystem::path& path, const Validation& validation, Split split,
                                           const DocumentOptions& options = {});

/// The next documents, until they have at least `bytes` together; empty at the end.
std::vector<std::string> read_batch(DocumentReader& reader, size_t bytes = size_t{16} << 20);

}  // namespace kappa
