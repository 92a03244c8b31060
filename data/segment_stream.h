#pragma once
// What the packer packs: an endless stream of segments, which are documents or parts of documents, epoch after epoch.

#include <functional>

#include "data/token_corpus.h"

namespace kappa {

struct Segment {
  int64_t number;  // its place in the stream, which finds it again
  std::vector<int32_t> tokens;
  int64_t used = 0;  // tokens[0, used) are already targets elsewhere; the last of them is the context of the rest

  int64_t left() const { return int64_t(tokens.size()) - used; }
};

inline constexpr int64_t slice_size = 128;  // the reference's tokenizer_batch_size

struct Slice {
  std::vector<Segment> segments;  // at most slice_size
  ReadCounts counts = {};         // what was met while they were read, in the first epoch
};

/// Which of how many processes that share the data this is.
struct RankOf {
  int64_t rank = 0, world = 1;
  bool operator==(const RankOf&) const = default;
};
/// Throws InputError unless 0 ≤ rank < world.
void check(RankOf rank);

/// Segments come in slices, for the packer fills its buffer slice by slice. What the functions give depends on nothing that was
/// asked before, so that a position in the stream is one number; slices that are asked for in order are had fastest. They are
/// called by one thread at a time. Subclasses: CorpusStream (in memory), ShardStream (Parquet), DocumentStream (other files),
/// AheadStream (another one, made ahead).
class SegmentStream {
 public:
  virtual ~SegmentStream() = default;
  /// Reads what slice 0, 1, … is made of, and gives the work that is then left to do, once, by any thread, while the stream
  /// lives.
  virtual std::function<Slice()> read_slice(int64_t index) const = 0;
  Slice slice(int64_t index) const { return read_slice(index)(); }
  /// Whether slice `index` is the first of an epoch. An epoch has at least one segment.
  virtual bool begins_epoch(int64_t index) const = 0;
  /// The segment with this number. Throws InputError if there is none.
  virtual Segment segment(int64_t number) const = 0;
  /// Equal for streams that are equal but for the rank.
  virtual uint64_t fingerprint() const = 0;
  virtual RankOf rank() const = 0;
};

enum class LongDocuments {
  crop,  // the paper's: a segment is a document; what no row has room for is dropped
  split  // nothing is dropped: a document longer than a row is cut into segments of at most a row
};

struct StreamOptions {
  int64_t length;  // T, the targets of a row; a row holds T + 1 tokens
  LongDocuments long_documents = LongDocuments::crop;
  uint64_t seed = 0;  // of the order of segments
  RankOf rank = {};   // this stream gives segments rank, rank + world, … of every epoch
};

/// A corpus in memory.
///
/// crop: segments are the documents, in order, in every epoch.
///
/// split: a document d of n tokens becomes d[0, T], d[T+1, 2T], d[2T+1, 3T], …, inclusive. The first is a full row of T + 1
/// tokens; the others bring T targets and, as context of the first of them, the token before, which is the last of the segment
/// before. This overlap by one token is what it takes to lose no target: in a row of T + 1 tokens the first is only an input. The
/// order is a random permutation, a pure function of (seed, epoch), so that the segments of one long document are not next to one
/// another.
class CorpusStream : public SegmentStream {
 public:
  /// `corpus` must outlive the stream. Throws InputError if this rank gets no segment.
  CorpusStream(const TokenCorpus& corpus, const StreamOptions& options);

  std::function<Slice()> read_slice(int64_t index) const override;
  bool begins_epoch(int64_t index) const override;
  Segment segment(int64_t number) const override;
  uint64_t fingerprint() const override;
  RankOf rank() const override { return options_.rank; }

  /// How many segments an epoch of this rank has.
  int64_t epoch_size() const { return share_; }

 private:
  struct Extent {
    int64_t begin, end, used;  // in corpus_.tokens; `used` as in Segment
  };

  const std::vector<int64_t>& order(int64_t epoch) const;

  const TokenCorpus& corpus_;
  StreamOptions options_;
  std::vector<Extent> extents_;
  int64_t share_;                       // how many of them an epoch of this rank has
  mutable std::vector<int64_t> order_;  // of the epoch that was asked for last
  mutable int64_t order_epoch_ = -1;
};

}  // namespace kappa
