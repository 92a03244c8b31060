#include "data/documents.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

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
    replacements_ = repaired.replacements;
    return true;
  }
  int64_t replacements() const override { return replacements_; }

 private:
  fs::path path_;
  bool done_ = false;
  int64_t replacements_ = 0;
};

/// JSON text is UTF-8 by definition, so bytes that are not are an error here, not a replacement.
class JsonLinesFile : public DocumentReader {
 public:
  explicit JsonLinesFile(const fs::path& path) : name_(path.string()), file_(path, std::ios::binary) {
    require(file_.is_open(), "{}: cannot open", name_);
  }

  bool next(std::string& text) override {
    while (std::getline(file_, line_)) {
      ++number_;
      if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
      text = parse();
      return true;
    }
    require(file_.eof(), "{}: cannot read on after line {}", name_, number_);
    return false;
  }

 private:
  std::string parse() const {
    nlohmann::json object;
    try {
      object = nlohmann::json::parse(line_);
    } catch (const nlohmann::json::parse_error& error) {
      throw InputError(fmt::format("{}:{}: not JSON: {}", name_, number_, printable(error.what())));
    }
    require(object.is_object(), "{}:{}: expected a JSON object, found {}", name_, number_, object.type_name());
    const auto found = object.find("text");
    require(found != object.end(), "{}:{}: the key text is missing", name_, number_);
    require(found->is_string(), "{}:{}: text: expected a string, found {}", name_, number_, found->type_name());
    std::string& text = found->get_ref<std::string&>();
    require(!text.empty(), "{}:{}: text: expected text, found an empty string", name_, number_);
    return std::move(text);
  }

  std::string name_;
  std::ifstream file_;
  std::string line_;
  int64_t number_ = 0;
};

/// Several files as one; each is opened when its turn comes.
class Files : public DocumentReader {
 public:
  explicit Files(std::vector<fs::path> paths) : paths_(std::move(paths)) {}

  bool next(std::string& text) override {
    for (;;) {
      if (current_ && current_->next(text)) return true;
      if (current_) replacements_ += current_->replacements();
      current_.reset();
      if (opened_ == paths_.size()) return false;
      current_ = open_documents(paths_[opened_++]);
    }
  }
  int64_t replacements() const override { return replacements_ + (current_ ? current_->replacements() : 0); }

 private:
  std::vector<fs::path> paths_;
  size_t opened_ = 0;
  std::unique_ptr<DocumentReader> current_;
  int64_t replacements_ = 0;
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
  int64_t replacements() const override { return all_->replacements(); }

 private:
  std::unique_ptr<DocumentReader> all_;
  int64_t every_, count_ = 0;
  Split split_;
};

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
    const fs::path extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".jsonl" || extension == ".txt")) paths.push_back(entry.path());
  }
  require(!paths.empty(), "{}: expected .jsonl or .txt files in this folder, found none", folder.string());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

std::unique_ptr<DocumentReader> open_documents(const fs::path& path) {
  require(is_there(path), "{}: there is no such file or folder", path.string());
  if (fs::is_directory(path)) return std::make_unique<Files>(files_in(path));
  if (path.extension() == ".jsonl") return std::make_unique<JsonLinesFile>(path);
  require(path.extension() != ".parquet", "{}: expected text or JSON Lines, found Parquet", path.string());
  return std::make_unique<TextFile>(path);
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
