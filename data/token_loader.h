#pragma once
// Batches for a model: [B, T] inputs, and as targets the token after each.

#include <memory>

#include "data/packer.h"

namespace kappa {

struct Batch {
  std::vector<int32_t> inputs, targets;  // [rows, length]; a target of −1 does not count
  int64_t rows = 0, length = 0;
};

struct BatchShape {
  int64_t rows, length;
};

/// Where a PackedLoader is between two batches.
struct LoaderState {
  uint64_t stream = 0;  // SegmentStream::fingerprint()
  PackerState packer;
  bool operator==(const LoaderState&) const = default;
};

/// Endless packed rows: for training, and, made anew each time, for the paper's evaluation. Row r of batch b is row b·rows + r.
class PackedLoader {
 public:
  PackedLoader(std::unique_ptr<SegmentStream> stream, LongDocuments long_documents, BatchShape shape);
  /// Over a corpus, which must outlive it.
  PackedLoader(const TokenCorpus& corpus, const StreamOptions& options, int64_t rows);

  Batch next();

  LoaderState state() const { return {fingerprint_, packer_.state()}; }
  /// Goes on with the batches that came after state(). Throws InputError if that was of other data or other options.
  void restore(const LoaderState& state);

 private:
  std::unique_ptr<SegmentStream> stream_;
  Packer packer_;
  BatchShape shape_;
  uint64_t fingerprint_;
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
