#include "data/shard_stream.h"

#include <algorithm>

#include "data/fingerprint.h"
#include "data/parquet_documents.h"
#include "data/utf8.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

namespace fs = std::filesystem;

static constexpr int64_t slice_size = 128;  // the reference's tokenizer_batch_size

std::vector<fs::path> shards_of(const fs::path& path, Split split) {
  std::vector<fs::path> shards;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file() && entry.path().extension() == ".parquet") shards.push_back(entry.path());
    std::ranges::sort(shards);
    require(!shards.empty(), "{}: expected .parquet files in this folder, found none", path.string());
  } else {
    require(fs::exists(path, error), "{}: there is no such file or folder", path.string());
    shards.push_back(path);
  }
  require(split == Split::validation || shards.size() > 1,
          "{}: expected shards to train on beside the last one, which is for validation; found one shard", path.string());
  if (split == Split::validation)
    shards.erase(shards.begin(), shards.end() - 1);
  else
    shards.pop_back();
  return shards;
}

/// An open file, and how far one of its row groups was read.
class ShardStream::Cursor {
 public:
  Cursor(const fs::path& path, int64_t number, const std::string& column)
      : number_(number), file_(path, column), reader_(file_) {}

  int64_t file_number() const { return number_; }
  bool is_before(const Block& block, int64_t row) const { return block_ == &block && row_ <= row; }

  /// Goes to the first row of a block; false if it is damaged and `skip_damaged`.
  bool open(const Block& block, bool skip_damaged) {
    block_ = nullptr;
    texts_ = {};
    if (!open_row_group(reader_, block.row_group, skip_damaged)) return false;
    block_ = &block;
    row_ = 0;
    return true;
  }

  std::string_view next() {
    if (texts_.empty()) texts_ = reader_.next();
    require(!texts_.empty(), "{}: row group {}: expected more rows than {}", file_.name(), block_->row_group, row_);
    const std::string_view text = texts_.front();
    texts_ = texts_.subspan(1);
    ++row_;
    return text;
  }

  void skip_to(int64_t row) {
    while (row_ < row) next();
  }

 private:
  int64_t number_;
  parquet::File file_;
  parquet::TextReader reader_;
  const Block* block_ = nullptr;
  int64_t row_ = 0;  // of the block
  std::span<const std::string_view> texts_;
};

ShardStream::ShardStream(const Tokenizer& tokenizer, std::vector<fs::path> shards, ShardOptions options)
    : tokenizer_(tokenizer), shards_(std::move(shards)), options_(std::move(options)) {
  const auto [rank, world, documents] = options_;
  require(world >= 1 && rank >= 0 && rank < world, "rank: expected 0 to {}, found {}", world - 1, rank);
  Fingerprint fingerprint;
  fingerprint.add(uint64_t(rank)), fingerprint.add(uint64_t(world)), fingerprint.add(documents.field);
  for (size_t i = 0; i < shards_.size(); ++i) {
    const parquet::File file(shards_[i], documents.field);
    add_file(int64_t(i), file);
    fingerprint.add(shards_[i].filename().string()), fingerprint.add(file.bytes().size());
    for (int64_t g = 0; g < file.row_groups(); ++g) fingerprint.add(uint64_t(file.rows(g)));
  }
  require(rows_ > 0, "training data: the row groups of {} shards are too few for rank {} of {}", shards_.size(), rank, world);
  const Vocabulary& v = tokenizer.vocabulary();
  fingerprint.add(v.pattern->regex), fingerprint.add(v.bos);
  for (const std::string& token : v.tokens) fingerprint.add(token);
  for (const Special& special : v.specials) fingerprint.add(special.text), fingerprint.add(uint64_t(special.id));
  fingerprint_ = fingerprint.value();
}

ShardStream::~ShardStream() = default;

void ShardStream::add_file(int64_t number, const parquet::File& file) {
  for (int64_t g = options_.rank; g < file.row_groups(); g += options_.world) {
    const int64_t rows = file.rows(g);
    if (rows > 0) blocks_.push_back({number, g, rows, rows_, slices_});
    rows_ += rows;
    slices_ += ceil_div(rows, slice_size);
  }
}

const ShardStream::Block& ShardStream::block_of_slice(int64_t slice) const {
  return *std::prev(std::ranges::upper_bound(blocks_, slice, {}, &Block::first_slice));
}

std::vector<std::optional<std::string>> ShardStream::texts(const Block& block, int64_t begin, int64_t count) const {
  std::vector<std::optional<std::string>> texts(static_cast<size_t>(count));
  if (damaged_.contains(&block)) return texts;
  if (!cursor_ || cursor_->file_number() != block.file)
    cursor_ = std::make_unique<Cursor>(shards_[size_t(block.file)], block.file, options_.documents.field);
  if (!cursor_->is_before(block, begin) && !cursor_->open(block, options_.documents.skip_damaged)) {
    damaged_.insert(&block);
    return texts;
  }
  cursor_->skip_to(begin);
  for (auto& text : texts)
    if (const std::string_view row = cursor_->next(); row.data() != nullptr) text = repair_utf8(std::string(row)).text;
  return texts;
}

std::vector<int32_t> ShardStream::tokens(const std::string& text) const {
  std::vector<int32_t> ids{tokenizer_.bos_id()};
  tokenizer_.encode(text, ids);
  return ids;
}

std::vector<Segment> ShardStream::slice(int64_t index) const {
  require(index >= 0, "training data: there is no slice {}", index);
  const int64_t epoch = index / slices_, slice = index % slices_;
  const Block& block = block_of_slice(slice);
  const int64_t begin = (slice - block.first_slice) * slice_size, count = std::min(slice_size, block.rows - begin);
  const auto rows = texts(block, begin, count);

  std::vector<Segment> segments;
  std::vector<const std::string*> found;
  for (int64_t i = 0; i < count; ++i) {
    if (!rows[size_t(i)]) continue;
    segments.push_back({.number = epoch * rows_ + block.first_row + begin + i, .tokens = {}});
    found.push_back(&*rows[size_t(i)]);
  }
  parallel_for(int64_t(segments.size()), [&](int64_t i) { segments[size_t(i)].tokens = tokens(*found[size_t(i)]); });
  slices_without_segments_ = segments.empty() ? slices_without_segments_ + 1 : 0;
  require(slices_without_segments_ < slices_, "{} …: expected documents, found none", shards_.front().string());
  return segments;
}

Segment ShardStream::segment(int64_t number) const {
  require(number >= 0, "training data: there is no segment {}", number);
  const int64_t row = number % rows_;
  const Block& block = *std::prev(std::ranges::upper_bound(blocks_, row, {}, &Block::first_row));
  const auto text = texts(block, row - block.first_row, 1).front();
  require(text.has_value(), "training data: there is no segment {}: a null or damaged", number);
  return {number, tokens(*text)};
}

ShardPosition ShardStream::position(int64_t index) const {
  const Block& block = block_of_slice(index % slices_);
  return {block.file, block.row_group - options_.rank, index / slices_ + 1};
}

int64_t ShardStream::slice_after(const ShardPosition& position) const {
  const auto [file, row_group, epoch] = position;
  require(epoch >= 1 && file >= 0 && file < int64_t(shards_.size()) && row_group >= 0,
          "loader state: expected an epoch from 1 and a file from 0 to {}, found epoch {}, file {}, row group {}",
          shards_.size() - 1, epoch, file, row_group);
  const int64_t first = (row_group / options_.world + 1) * options_.world + options_.rank;
  const auto next = std::ranges::lower_bound(blocks_, std::pair(file, first), {},
                                             [](const Block& b) { return std::pair(b.file, b.row_group); });
  return (epoch - 1) * slices_ + (next == blocks_.end() ? slices_ : next->first_slice);
}

}  // namespace kappa
