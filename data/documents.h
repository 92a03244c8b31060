#pragma once
// Texts to learn from, document by document, whatever file they lie in.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

/// Documents in a fixed order, read once from first to last. A new file format is another subclass, and a line in
/// open_documents().
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;
  /// The next document, well-formed UTF-8 and not empty; false at the end. Throws InputError naming the file, and the line if it
  /// has any.
  virtual bool next(std::string& text) = 0;
  /// How many ill-formed parts were replaced by U+FFFD in what was read so far.
  virtual int64_t replacements() const { return 0; }
};

/// Reads `path`: a .jsonl file (the string `text` of one JSON object a line; blank lines do not count), any other file (plain
/// text, one document), or a folder (its .jsonl and .txt files in the order of their names, subfolders and other files left out).
/// Throws InputError naming the path if it does not exist or there is nothing to read.
std::unique_ptr<DocumentReader> open_documents(const std::filesystem::path& path);

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
