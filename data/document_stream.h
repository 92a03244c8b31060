#pragma once
// Training data in files that can only be read from front to back, JSON Lines and plain text, read and tokenised while it is
// used.
//
// An epoch goes through the files in order. Of the documents of the share, rank r of W gets r, r + W, …, in slices of 128. Where
// slice `index` begins is found by reading up to there: going on from a state reads the data once up to its place, without
// tokenising it. No more than a slice is in memory.

#include <filesystem>
#include <optional>

#include "data/text_stream.h"

namespace kappa {

class DocumentStream : public SegmentStream {
 public:
  /// `tokenizer` must outlive the stream. Reads nothing yet but the files' sizes. Throws InputError naming a file that is not
  /// there.
  DocumentStream(const Tokenizer& tokenizer, std::vector<std::filesystem::path> files, TextStreamOptions options = {});

  /// Throws InputError as reading the documents does, or if an epoch of this rank has none.
  std::function<Slice()> read_slice(int64_t index) const override;
  bool begins_epoch(int64_t index) const override;
  Segment segment(int64_t number) const override;
  uint64_t fingerprint() const override { return fingerprint_; }
  RankOf rank() const override { return options_.rank; }

 private:
  bool next(std::string* text) const;
  bool go_to(int64_t document) const;
  TextSlice read(int64_t document, int64_t epoch, int64_t count) const;

  const Tokenizer& tokenizer_;
  std::vector<std::filesystem::path> files_;
  TextStreamOptions options_;
  uint64_t fingerprint_;

  // Where reading stands, which changes how fast something is had but not what.
  mutable std::unique_ptr<DocumentReader> reader_;
  mutable int64_t of_share_ = 0;               // documents of the share that were read in this epoch
  mutable int64_t at_ = 0;                     // those of them that were this rank's
  mutable std::optional<int64_t> epoch_size_;  // of this rank, once the end was seen
};

}  // namespace kappa
