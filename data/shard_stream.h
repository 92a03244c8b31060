#pragma once
// The paper's training data: Parquet shards, read and tokenised while they are used (spec/evaluation.md §4.1, §4.2).
//
// An epoch goes through the files in the order of their names; of every file, rank r of W reads the row groups r, r + W, …; each
// row group comes in slices of 128 documents. Nothing is shuffled. Beyond the footers, no more is in memory than a page.

#include <filesystem>
#include <set>

#include "data/parquet/text_reader.h"
#include "data/text_stream.h"

namespace kappa {

/// A place among the shards, as the paper's code writes it down: of the slice that was fetched last.
struct ShardPosition {
  int64_t file = 0;
  int64_t row_group = 0;  // less the rank
  int64_t epoch = 1;
  bool operator==(const ShardPosition&) const = default;
};

/// Segments are documents, the BOS before their ids. A segment's number counts rows, so that nulls, rows of row groups that are
/// left out as damaged, and rows that are not of the share, are numbers without a segment. A row group that is left
/// out counts with its first slice, files with the very first.
class ShardStream : public SegmentStream {
 public:
  /// Reads all footers. `tokenizer` must outlive the stream. Throws InputError naming the file, or if this rank gets no rows.
  /// A file that is left out has no rows.
  ShardStream(const Tokenizer& tokenizer, std::vector<std::filesystem::path> shards, TextStreamOptions options = {});
  ~ShardStream() override;

  std::function<Slice()> read_slice(int64_t index) const override;
  bool begins_epoch(int64_t index) const override { return index % slices_ == 0; }
  Segment segment(int64_t number) const override;
  uint64_t fingerprint() const override { return fingerprint_; }
  RankOf rank() const override { return options_.rank; }

  /// Where slice `index` comes from.
  ShardPosition position(int64_t index) const;
  /// The slice that the paper's code goes on with after this position, which is not the next one: that of this rank's next row
  /// group. Throws InputError if there is no such file.
  int64_t slice_after(const ShardPosition& position) const;

 private:
  struct Block {  // a row group of this rank
    int64_t file, row_group, rows;
    int64_t first_row, first_slice;  // of an epoch
    int64_t first_of_all;            // its first row among those of all ranks
  };
  class Cursor;

  void add_file(int64_t number, const parquet::File& file, int64_t& rows_of_all);
  const Block& block_of_slice(int64_t slice) const;
  /// Opens a block where it is not the one that is open; `whole`: as open_row_group() with skip_damaged, and false if it fails.
  bool open(const Block& block, bool whole) const;
  /// The documents of rows [begin, begin + count) of the open block; `number` is that of the first row.
  TextSlice texts(const Block& block, int64_t begin, int64_t count, int64_t number) const;

  const Tokenizer& tokenizer_;
  std::vector<std::filesystem::path> shards_;
  TextStreamOptions options_;
  std::vector<Block> blocks_;
  int64_t rows_ = 0, slices_ = 0;  // of an epoch
  int64_t damaged_files_ = 0;
  uint64_t fingerprint_ = 0;

  // What does not change what is given, only how fast: where the file is open, and what was found damaged.
  mutable std::unique_ptr<Cursor> cursor_;
  mutable std::set<const Block*> damaged_;
  mutable int64_t slices_without_segments_ = 0;
};

}  // namespace kappa
