#include "data/document_stream.h"

#include "data/fingerprint.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

namespace fs = std::filesystem;

DocumentStream::DocumentStream(const Tokenizer& tokenizer, std::vector<fs::path> files, TextStreamOptions options)
    : tokenizer_(tokenizer), files_(std::move(files)), options_(std::move(options)) {
  check(options_.rank);
  require(!files_.empty(), "training data: expected files, found none");
  Fingerprint fingerprint;
  fingerprint.add(kappa::fingerprint(tokenizer, options_));
  for (const fs::path& file : files_) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    require(!error, "{}: {}", file.string(), error.message());
    fingerprint.add(file.filename().string()), fingerprint.add(size);
  }
  fingerprint_ = fingerprint.value();
}

/// The next document of this rank, or, where `text` is null, only past it; false at the end of the epoch.
bool DocumentStream::next(std::string* text) const {
  const auto [rank, world] = options_.rank;
  for (;;) {
    const bool is_mine = of_share_ % world == rank;
    if (!(is_mine && text != nullptr ? reader_->next(*text) : reader_->skip())) {
      require(at_ > 0, "{}{}: expected documents, found none{}", files_.front().string(), files_.size() > 1 ? " …" : "",
              world > 1 ? fmt::format(" for rank {} of {}", rank, world) : "");
      epoch_size_ = at_;
      return false;
    }
    ++of_share_;
    at_ += is_mine;
    if (is_mine) return true;
  }
}

/// Stands before a document of an epoch; false if there are fewer.
bool DocumentStream::go_to(int64_t document) const {
  if (!reader_ || document < at_) {
    reader_ = open_files(files_, options_.documents, options_.share);
    of_share_ = at_ = 0;
  }
  while (at_ < document)
    if (!next(nullptr)) return false;
  return true;
}

/// Up to `count` documents from one on, which may be of any epoch; nothing where an epoch was found to end before it, and how
/// many documents an epoch has is known from then on.
TextSlice DocumentStream::read(int64_t document, int64_t epoch, int64_t count) const {
  TextSlice texts;
  try {
    if (!go_to(document)) return texts;
    const ReadCounts before = reader_->counts();
    for (std::string text; int64_t(texts.documents.size()) < count && next(&text);)
      texts.documents.emplace_back(epoch * epoch_size_.value_or(0) + at_ - 1, std::move(text));
    texts.counts = reader_->counts() - before;
    texts.again = epoch > 0;
    return texts;
  } catch (...) {
    reader_.reset();  // where it stands is not known
    throw;
  }
}

std::function<Slice()> DocumentStream::read_slice(int64_t index) const {
  require(index >= 0, "training data: there is no slice {}", index);
  TextSlice texts;
  if (!epoch_size_) texts = read(index * slice_size, 0, slice_size);
  if (texts.documents.empty()) {
    const int64_t slices = ceil_div(*epoch_size_, slice_size);
    texts = read(index % slices * slice_size, index / slices, slice_size);
    require(!texts.documents.empty(), "{} …: changed while it was read", files_.front().string());
  }
  return to_be_tokenized(tokenizer_, std::move(texts));
}

bool DocumentStream::begins_epoch(int64_t index) const {
  if (index > 0 && !epoch_size_) read_slice(index);  // which finds out, should the documents end before it
  return index == 0 || (epoch_size_ && index % ceil_div(*epoch_size_, slice_size) == 0);
}

Segment DocumentStream::segment(int64_t number) const {
  require(number >= 0, "training data: there is no segment {}", number);
  TextSlice texts;
  if (!epoch_size_) texts = read(number, 0, 1);
  if (texts.documents.empty()) texts = read(number % *epoch_size_, number / *epoch_size_, 1);
  require(!texts.documents.empty(), "{} …: changed while it was read", files_.front().string());
  texts.documents.front().first = number;
  return std::move(to_be_tokenized(tokenizer_, std::move(texts))().segments.front());
}

}  // namespace kappa
