#include "data/shard_stream.h"

#include <algorithm>
#include <limits>

#include "data/fingerprint.h"
#include "data/parquet_documents.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

namespace fs = std::filesystem;

/// An open file, and how far one of its row groups was read.
class ShardStream::Cursor {
 public:
  Cursor(const fs::path& path, int64_t number, const std::string& column)
      : number_(number), file_(path, column), reader_(file_) {}

  int64_t file_number() const { return number_; }
  bool is_in(const Block& block, bool whole) const { return block_ == &block && (whole_ || !whole); }

  /// Goes to the first row of a block; false if it should be `whole` and cannot be read to its end.
  bool open(const Block& block, bool whole) {
    block_ = nullptr;
    if (!open_row_group(reader_, block.row_group, whole)) return false;
    whole_ = whole;
    begin(block);
    return true;
  }

  /// Goes to a row of the block.
  void go_to(int64_t row) {
    if (row < row_) reader_.open(block_->row_group), begin(*block_);
    while (row_ < row) next();
  }

  std::string_view next() {
    if (texts_.empty()) texts_ = reader_.next();
    require(!texts_.empty(), "{}: row group {}: expected more rows than {}", file_.name(), block_->row_group, row_);
    const std::string_view text = texts_.front();
    texts_ = texts_.subspan(1);
    ++row_;
    return text;
  }

 private:
  void begin(const Block& block) {
    block_ = &block;
    row_ = 0;
    texts_ = {};
  }

  int64_t number_;
  parquet::File file_;
  parquet::TextReader reader_;
  const Block* block_ = nullptr;
  bool whole_ = false;
  int64_t row_ = 0;  // of the block
  std::span<const std::string_view> texts_;
};

ShardStream::ShardStream(const Tokenizer& tokenizer, std::vector<fs::path> shards, TextStreamOptions options)
    : tokenizer_(tokenizer), shards_(std::move(shards)), options_(std::move(options)) {
  const RankOf of = options_.rank;
  check(of);
  Fingerprint fingerprint;
  fingerprint.add(kappa::fingerprint(tokenizer, options_));
  int64_t rows_of_all = 0;
  for (size_t i = 0; i < shards_.size(); ++i) {
    fingerprint.add(shards_[i].filename().string());
    const auto file = open_parquet(shards_[i], options_.documents);
    damaged_files_ += !file;
    if (!file) continue;
    add_file(int64_t(i), *file, rows_of_all);
    fingerprint.add(file->bytes().size());
    for (int64_t g = 0; g < file->row_groups(); ++g) fingerprint.add(uint64_t(file->rows(g)));
  }
  require(rows_of_all > 0, "{}: expected rows of text, found none{}", shards_.front().string(),
          shards_.size() > 1 ? fmt::format(", nor in {} more", shards_.size() - 1) : "");
  require(rows_ > 0, "training data: the row groups of {} shards are too few for rank {} of {}", shards_.size(), of.rank,
          of.world);
  fingerprint_ = fingerprint.value();
}

ShardStream::~ShardStream() = default;

void ShardStream::add_file(int64_t number, const parquet::File& file, int64_t& rows_of_all) {
  const auto [rank, world] = options_.rank;
  for (int64_t g = 0; g < file.row_groups(); ++g) {
    const int64_t rows = file.rows(g), first_of_all = rows_of_all;
    rows_of_all += rows;
    if (g % world != rank || rows == 0) continue;
    blocks_.push_back({number, g, rows, rows_, slices_, first_of_all});
    rows_ += rows;
    slices_ += ceil_div(rows, slice_size);
  }
}

const ShardStream::Block& ShardStream::block_of_slice(int64_t slice) const {
  return *std::prev(std::ranges::upper_bound(blocks_, slice, {}, &Block::first_slice));
}

bool ShardStream::open(const Block& block, bool whole) const {
  if (whole && damaged_.contains(&block)) return false;
  if (!cursor_ || cursor_->file_number() != block.file)
    cursor_ = std::make_unique<Cursor>(shards_[size_t(block.file)], block.file, options_.documents.field);
  if (cursor_->is_in(block, whole) || cursor_->open(block, whole)) return true;
  damaged_.insert(&block);
  return false;
}

TextSlice ShardStream::texts(const Block& block, int64_t begin, int64_t count, int64_t number) const {
  TextSlice slice;
  try {
    cursor_->go_to(begin);
    for (int64_t i = 0; i < count; ++i) {
      const std::string_view row = cursor_->next();
      if (!options_.share.has(block.first_of_all + begin + i + 1)) continue;
      if (row.data() != nullptr)
        slice.documents.emplace_back(number + i, row);
      else
        ++slice.counts.nulls;
    }
    return slice;
  } catch (const InputError&) {
    cursor_.reset();  // where it stands is not known
    throw;
  }
}

std::function<Slice()> ShardStream::read_slice(int64_t index) const {
  require(index >= 0, "training data: there is no slice {}", index);
  const int64_t epoch = index / slices_, number = index % slices_;
  const Block& block = block_of_slice(number);
  const int64_t begin = (number - block.first_slice) * slice_size, count = std::min(slice_size, block.rows - begin);

  const bool damaged = !open(block, options_.documents.skip_damaged);
  TextSlice slice;
  if (!damaged) slice = texts(block, begin, count, epoch * rows_ + block.first_row + begin);
  slice.counts.damaged = damaged && begin == 0;
  if (number == 0) slice.counts.damaged_files = damaged_files_;
  slice.again = epoch > 0;
  slices_without_segments_ = slice.documents.empty() ? slices_without_segments_ + 1 : 0;
  require(slices_without_segments_ < slices_, "{} …: expected documents, found none", shards_.front().string());
  return to_be_tokenized(tokenizer_, std::move(slice));
}

Segment ShardStream::segment(int64_t number) const {
  require(number >= 0, "training data: there is no segment {}", number);
  const int64_t row = number % rows_;
  const Block& block = *std::prev(std::ranges::upper_bound(blocks_, row, {}, &Block::first_row));
  // Of a row group that is left out, what is in front of the damage may have been read by who did not leave it out.
  open(block, false);
  TextSlice slice = texts(block, row - block.first_row, 1, number);
  require(!slice.documents.empty(), "training data: there is no segment {}: that row is null or not of this split", number);
  return std::move(to_be_tokenized(tokenizer_, std::move(slice))().segments.front());
}

ShardPosition ShardStream::position(int64_t index) const {
  const Block& block = block_of_slice(index % slices_);
  return {block.file, block.row_group - options_.rank.rank, index / slices_ + 1};
}

int64_t ShardStream::slice_after(const ShardPosition& position) const {
  const auto [file, row_group, epoch] = position;
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  require(epoch >= 1 && epoch <= most && file >= 0 && file < int64_t(shards_.size()) && row_group >= 0 && row_group <= most,
          "loader state: expected an epoch from 1 and a file from 0 to {}, found epoch {}, file {}, row group {}",
          shards_.size() - 1, epoch, file, row_group);
  const auto [rank, world] = options_.rank;
  const int64_t first = (row_group / world + 1) * world + rank;
  const auto next = std::ranges::lower_bound(blocks_, std::pair(file, first), {},
                                             [](const Block& b) { return std::pair(b.file, b.row_group); });
  return (epoch - 1) * slices_ + (next == blocks_.end() ? slices_ : next->first_slice);
}

}  // namespace kappa
