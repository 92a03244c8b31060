#pragma once
// Batches for a model: [B, T] inputs, and as targets the token after each.

#include <memory>

#include "data/ahead.h"
#include "data/loader_state.h"

namespace kappa {

struct Batch {
  std::vector<int32_t> inputs, targets;  // [rows, length]; a target of −1 does not count
  int64_t rows = 0, length = 0;
};

struct BatchShape {
  int64_t rows, length;
};

/// Endless packed rows: for training, and, made anew each time, for the paper's evaluation. Row r of batch b is row b·rows + r.
/// What the batches are does not depend on the number of workers.
class PackedLoader {
 public:
  /// With `workers` ≥ 1, so many threads read and tokenise, and one more packs, ahead of next(): up to about a million tokens
  /// wait as batches, and AheadStream's slices before them. With 0, next() does it all. Nothing is read before next() or
  /// restore().
  PackedLoader(std::unique_ptr<SegmentStream> stream, LongDocuments long_documents, BatchShape shape, int64_t workers = 0);
  /// Over a corpus, which must outlive it.
  PackedLoader(const TokenCorpus& corpus, const StreamOptions& options, int64_t rows, int64_t workers = 0);

  /// Throws what reading the data throws, after all batches before it.
  Batch next();

  /// After the batch that next() gave last, whatever was made ahead of it.
  LoaderState state() const;
  /// Goes on with the batches that came after state(). Throws InputError if that was of other data, other options or another
  /// rank.
  void restore(const LoaderState& state);
  /// Goes on with the batches that a new loader would give if the data began with this slice.
  void begin_at(int64_t slice);

  /// What was met while the slices of all batches so far were read, since the loader was made or restored.
  ReadCounts counts() const { return packed_.counts; }

 private:
  struct Packed {
    Batch batch = {};
    PackerState state = {};  // after it
    ReadCounts counts = {};
  };
  Packed pack();

  std::unique_ptr<SegmentStream> stream_;
  Packer packer_;
  BatchShape shape_;
  int64_t workers_;
  uint64_t fingerprint_;
  Packed packed_;                         // the last that was taken, without its batch
  std::unique_ptr<Ahead<Packed>> ahead_;  // last, so that it ends before what it works with
};

/// So many batches, which next() gives one after the other.
struct BatchSequence {
  int64_t count;
  std::function<Batch()> next;
};

/// Each document by itself, in consecutive windows of T targets, so that every token but the BOS is a target exactly once. A
/// document's last window is filled up with targets of −1, and the last batches with rows of them: all batches have one shape,
/// all ranks the same number of batches. For bits per byte over all of a small held-out set, where packing would drop some of it.
class WindowLoader {
 public:
  /// `corpus` must outlive it. Rank r of `world` gets every world-th group of `shape.rows` rows.
  WindowLoader(const TokenCorpus& corpus, BatchShape shape, int64_t rank = 0, int64_t world = 1);

  int64_t batches() const;
  /// Batch 0 ≤ index < batches(), in any order.
  Batch batch(int64_t index) const;

 private:
  struct Window {
    int64_t begin, targets;  // the first input in corpus_.tokens; how many targets follow, at least 1
  };
  const TokenCorpus& corpus_;
  BatchShape shape_;
  int64_t rank_, world_;
  std::vector<Window> windows_;
};

}  // namespace kappa
