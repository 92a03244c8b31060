#include "data/documents.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include "data/json_lines.h"
#include "data/parquet_documents.h"
#include "data/tokenizer/split.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/text.h"
#include "engine/core/utf8.h"

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
  int64_t number() const override { return done_; }
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
  int64_t number() const override { return begun_; }
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
    return any([&](DocumentReader& file) { return file.next(text); });
  }
  bool skip() override {
    return any([](DocumentReader& file) { return file.skip(); });
  }
  int64_t number() const override { return before_ + (current_ ? current_->number() : 0); }
  bool continues() const override { return current_ && current_->continues(); }
  ReadCounts counts() const override { return current_ ? finished_ + current_->counts() : finished_; }

 private:
  /// Whether `read` succeeds with the current file, or else with one of the next.
  template <class Read>
  bool any(Read&& read) {
    for (;;) {
      if (current_ && read(*current_)) return true;
      finished_ = counts();
      before_ = number();
      current_.reset();
      if (opened_ == paths_.size()) return false;
      current_ = open_documents(paths_[opened_++], options_);
    }
  }

  std::vector<fs::path> paths_;
  DocumentOptions options_;
  size_t opened_ = 0;
  std::unique_ptr<DocumentReader> current_;
  ReadCounts finished_;  // of the files before it
  int64_t before_ = 0;   // places in them
};

class ShareOf : public DocumentReader {
 public:
  ShareOf(std::unique_ptr<DocumentReader> all, Share share) : all_(std::move(all)), share_(share) {}

  bool next(std::string& text) override {
    while (all_->next(text))
      if (share_.has(all_->number())) return true;
    return false;
  }
  bool skip() override {
    while (all_->skip())
      if (share_.has(all_->number())) return true;
    return false;
  }
  bool continues() const override { return all_->continues(); }
  int64_t number() const override { return all_->number(); }
  ReadCounts counts() const override { return all_->counts(); }

 private:
  std::unique_ptr<DocumentReader> all_;
  Share share_;
};

bool is_json_lines(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") || name.ends_with(".jsonl.zst");
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Of something that ends when it is read.
fs::file_status status_of(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  require(fs::exists(status), "{}: there is no such file or folder", path.string());
  require(!fs::is_character_file(status) && !fs::is_block_file(status), "{}: expected a file or a folder, found a device",
          path.string());
  return status;
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

std::string described(const ReadCounts& counts) {
  return fmt::format("{} row groups or lines, {} files", counts.damaged, counts.damaged_files);
}

bool is_parquet(const fs::path& path) { return path.extension() == ".parquet"; }

std::vector<fs::path> text_files(const fs::path& path) {
  const fs::file_status status = status_of(path);
  if (fs::is_regular_file(status)) return {path};
  require(fs::is_directory(status), "{}: expected a file, which can be read again, or a folder, found a pipe", path.string());
  std::vector<fs::path> files = files_in(path);
  if (std::ranges::any_of(files, is_parquet)) std::erase_if(files, std::not_fn(is_parquet));
  return files;
}

std::vector<fs::path> split_files(const fs::path& path, const Validation& validation, Split split) {
  const bool training = split == Split::train;
  std::vector<fs::path> files = text_files(!training && !validation.file.empty() ? validation.file : path);
  if (validation.every > 0) return files;
  if (!validation.file.empty()) {
    if (training)
      for (const fs::path& held_out : text_files(validation.file))
        std::erase_if(files, [&](const fs::path& file) { return fs::equivalent(file, held_out); });
    require(!files.empty(), "{}: expected files beside {}, found none", path.string(), validation.file.string());
    return files;
  }
  const bool shards = std::ranges::all_of(files, [](const fs::path& f) { return is_parquet(f) || is_json_lines(f); });
  require(shards && files.size() > 1,
          "{}: expected shards, of which the last is for validation, found {}; or else a share that is held out, such as "
          "0.05, or a file",
          path.string(),
          !shards                  ? "plain text"
          : fs::is_directory(path) ? "one"
                                   : "one file");
  return training ? std::vector(files.begin(), files.end() - 1) : std::vector{files.back()};
}

std::unique_ptr<DocumentReader> open_files(std::vector<fs::path> files, const DocumentOptions& options, const Share& share) {
  auto documents = std::make_unique<Files>(std::move(files), options);
  if (share.every == 0) return documents;
  return std::make_unique<ShareOf>(std::move(documents), share);
}

std::unique_ptr<DocumentReader> open_documents(const fs::path& path, const DocumentOptions& options) {
  if (fs::is_directory(status_of(path))) return std::make_unique<Files>(files_in(path), options);
  if (is_parquet(path)) return std::make_unique<ParquetDocuments>(path, options);
  if (is_json_lines(path)) return std::make_unique<JsonLines>(open_bytes(path), path.string(), options);
  if (options.part_bytes > 0) return std::make_unique<TextParts>(path, options.part_bytes);
  return std::make_unique<TextFile>(path);
}

std::unique_ptr<DocumentReader> open_documents(const std::vector<fs::path>& paths, const DocumentOptions& options) {
  for (const fs::path& path : paths) status_of(path);
  return std::make_unique<Files>(paths, options);
}

Validation Validation::parse(const std::string& value) {
  if (value.empty()) return {};
  double share = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), share);
  if (error == std::errc() && end == value.data() + value.size()) {
    require(share > 0 && share < 1, "expected a share in (0, 1) or a file, found {}", value);
    const int64_t every = std::llround(std::min(1 / share, 0x1p60));
    require(every > 1, "a share of {} would hold out every document", value);
    return {.file = {}, .every = every};
  }
  require(is_there(value), "expected a share in (0, 1) or a file, found {}", printable(value));
  return {.file = value, .every = 0};
}

std::unique_ptr<DocumentReader> open_split(const fs::path& path, const Validation& validation, Split split,
                                           const DocumentOptions& options) {
  return open_files(split_files(path, validation, split), options, {validation.every, split});
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
