#pragma once
// What the streams of segments over files of text share: documents become segments, the BOS before their ids.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "data/segment_stream.h"
#include "data/tokenizer.h"

namespace kappa {

struct TextStreamOptions {
  RankOf rank = {};
  DocumentOptions documents = {};
  Share share = {};
};

/// The documents of files, read and tokenised while the stream is used: a ShardStream if these are Parquet, or else a
/// DocumentStream. `tokenizer` must outlive it. Throws InputError as their constructors do.
std::unique_ptr<SegmentStream> open_stream(const Tokenizer& tokenizer, const std::vector<std::filesystem::path>& files,
                                           const TextStreamOptions& options = {});

/// A slice before its documents are tokenised.
struct TextSlice {
  std::vector<std::pair<int64_t, std::string>> documents;  // Segment::number, text
  ReadCounts counts = {};
  bool again = false;  // of a later epoch: nothing is counted twice
};

/// What is ill-formed in the texts is repaired, and counted. `tokenizer` must outlive the work.
std::function<Slice()> to_be_tokenized(const Tokenizer& tokenizer, TextSlice slice);

/// Equal for tokenizers that give equal ids, and for equal options but for the rank.
uint64_t fingerprint(const Tokenizer& tokenizer, const TextStreamOptions& options);

}  // namespace kappa
