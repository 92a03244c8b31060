#include "data/documents.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "data/json_lines.h"
#include "data/parquet_documents.h"
#include "data/tokenizer/split.h"
#include "data/utf8.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

class TextFile : public DocumentReader {
 public:
  explicit TextFile(fs::path path) : path_(std::move(path)) {}

  bool next(std::string& text) override {
    if (done_) return false;
    done_ = true;
    RepairedText repaired = repair_utf8(read_file(path_, std::numeric_limits<int64_t>::max()));
    require(!repaired.text.empty(), "{}: expected text, found an empty file", path_.string());
    text = std::move(repaired.text);
    counts_.replacements = repaired.replacements;
    return true;
  }
  ReadCounts counts() const override { return counts_; }

 private:
  fs::path path_;
  bool done_ = false;
  ReadCounts counts_;
};

/// Plain text part by part, cut where every split pattern cuts.
class TextParts : public DocumentReader {
 public:
  TextParts(const fs::path& path, size_t part) : name_(path.string()), bytes_(open_raw_bytes(path)), part_(part) {}

  bool next(std::string& text) override {
    size_t cut = 0;
    for (size_t wanted = part_; cut == 0 && !ended_; wanted *= 2) {
      read(wanted);
      cut = ended_ ? 0 : last_sure_cut(waiting_);
    }
    if (ended_) cut = waiting_.size();
    require(begun_ || cut > 0, "{}: expected text, found an empty file", name_);
    begun_ = true;
    if (cut == 0) return false;
    RepairedText repaired = repair_utf8(waiting_.substr(0, cut));
    waiting_.erase(0, cut);
    counts_.replacements += repaired.replacements;
    text = std::move(repaired.text);
    return true;
  }
  bool continues() const override { return !waiting_.empty() || !ended_; }
  ReadCounts counts() const override { return counts_; }

 private:
  /// Until so many bytes wait, or there are no more.
  void read(size_t wanted) {
    size_t have = waiting_.size();
    waiting_.resize(std::max(have, wanted));
    while (have < wanted && !ended_) {
      const size_t count = bytes_->read(std::span(waiting_).subspan(have));
      ended_ = count == 0;
      have += count;
    }
    waiting_.resize(have);
  }

  std::string name_;
  std::unique_ptr<ByteStream> bytes_;
  size_t part_;
  std::string waiting_;  // read and not yet handed out
  bool begun_ = false, ended_ = false;
  ReadCounts counts_;
};

/// Several files as one; each is opened when its turn comes.
class Files : public DocumentReader {
 public:
  Files(std::vector<fs::path> paths, DocumentOptions options) : paths_(std::move(paths)), options_(std::move(options)) {}

  bool next(std::string& text) override {
    for (;;) {
      if (current_ && current_->next(text)) return true;
      if (current_) finished_ = counts();
      current_.reset();
      if (opened_ == paths_.size()) return false;
      current_ = open_documents(paths_[opened_++], options_);
    }
  }
  bool continues() const override { return current_ && current_->continues(); }
  ReadCounts counts() const override { return current_ ? finished_ + current_->counts() : finished_; }

 private:
  std::vector<fs::path> paths_;
  DocumentOptions options_;
  size_t opened_ = 0;
  std::unique_ptr<DocumentReader> current_;
  ReadCounts finished_;  // of the files before it
};

/// Documents every, 2·every, … (counted from 1), or all others.
class EveryNth : public DocumentReader {
 public:
  EveryNth(std::unique_ptr<DocumentReader> all, int64_t every, Split split)
      : all_(std::move(all)), every_(every), split_(split) {}

  bool next(std::string& text) override {
    while (all_->next(text))
      if ((++count_ % every_ == 0) == (split_ == Split::validation)) return true;
    return false;
  }
  ReadCounts counts() const override { return all_->counts(); }

 private:
  std::unique_ptr<DocumentReader> all_;
  int64_t every_, count_ = 0;
  Split split_;
};

bool is_json_lines(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") || name.ends_with(".jsonl.zst");
}

bool is_parquet(const fs::path& path) { return path.extension() == ".parquet"; }

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator entries(folder, error);
  require(!error, "{}: cannot read this folder: {}", folder.string(), error.message());
  std::vector<fs::path> paths;
  for (const auto& entry : entries) {
    const fs::path& path = entry.path();
    const bool is_text = is_parquet(path) || is_json_lines(path) || path.extension() == ".txt";
    if (entry.is_regular_file() && is_text) paths.push_back(path);
  }
  require(!paths.empty(), "{}: expected .parquet, .jsonl or .txt files in this folder, found none", folder.string());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

std::unique_ptr<DocumentReader> open_documents(const fs::path& path, const DocumentOptions& options) {
  require(is_there(path), "{}: there is no such file or folder", path.string());
  if (fs::is_directory(path)) return std::make_unique<Files>(files_in(path), options);
  if (is_parquet(path)) return std::make_unique<ParquetDocuments>(path, options);
  if (is_json_lines(path)) return std::make_unique<JsonLines>(open_bytes(path), path.string(), options.field);
  if (options.part_bytes > 0) return std::make_unique<TextParts>(path, options.part_bytes);
  return std::make_unique<TextFile>(path);
}

std::unique_ptr<DocumentReader> open_documents(const std::vector<fs::path>& paths, const DocumentOptions& options) {
  for (const fs::path& path : paths) require(is_there(path), "{}: there is no such file or folder", path.string());
  return std::make_unique<Files>(paths, options);
}

Validation Validation::parse(const std::string& value) {
  if (value.empty()) return {};
  double share = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), share);
  if (error == std::errc() && end == value.data() + value.size()) {
    require(share > 0 && share < 1, "data.validation: expected a share in (0, 1) or a file, found {}", value);
    const int64_t every = std::llround(std::min(1 / share, 0x1p60));
    require(every > 1, "data.validation: a share of {} would hold out every document", value);
    return {.file = {}, .every = every};
  }
  require(is_there(value), "data.validation: expected a share in (0, 1) or a file, found {}", printable(value));
  return {.file = value, .every = 0};
}

std::unique_ptr<DocumentReader> open_split(const fs::path& path, const Validation& validation, Split split) {
  if (validation.every > 0) return std::make_unique<EveryNth>(open_documents(path), validation.every, split);
  if (split == Split::train) return open_documents(path);
  require(!validation.file.empty(), "data.validation: no documents are held out; expected a share in (0, 1) or a file");
  return open_documents(validation.file);
}

std::vector<std::string> read_batch(DocumentReader& reader, size_t bytes) {
  std::vector<std::string> texts;
  size_t size = 0;
  for (std::string text; size < bytes && reader.next(text);) {
    size += text.size();
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace kappa
