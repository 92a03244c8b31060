#pragma once
// Segments into rows of T + 1 tokens without padding: BOS best-fit packing (spec/evaluation.md §4.3).
//
// A buffer of at least 1000 segments waits. While a row has room for r tokens, the longest segment of at most r tokens is taken,
// of equals the one that came first. If all are longer, the shortest is cropped to r tokens, of equals the one that came first.
//
// Where nothing may be dropped (LongDocuments::split) three things differ: what is left of a cropped segment waits on in its
// place; a row begins with the segment that has waited longest, and with the token before it, if the document has one, as a
// context that is not a target; and an epoch is used up before the next is fetched. So every token is a target exactly once an
// epoch, except that a BOS with which a row begins is none. (A row that an epoch ends in goes on with the next.)

#include <map>
#include <set>
#include <span>

#include "data/segment_stream.h"

namespace kappa {

/// Where a packer is between two rows.
struct PackerState {
  struct Waiting {
    int64_t segment, used;  // Segment::number and Segment::used
    bool operator==(const Waiting&) const = default;
  };
  int64_t slices = 0;            // fetched so far
  std::vector<Waiting> waiting;  // in the order of arrival
  bool operator==(const PackerState&) const = default;
};

class Packer {
 public:
  /// `stream` must outlive the packer. `buffer`: how many segments wait at least.
  Packer(const SegmentStream& stream, LongDocuments long_documents, int64_t buffer = 1000)
      : stream_(stream), long_documents_(long_documents), buffer_(buffer) {}

  /// Fills `row` [T + 1]. O(log buffer) a segment.
  void pack(std::span<int32_t> row);

  PackerState state() const;
  /// What was met while the slices so far were read, since the packer was made or restored.
  ReadCounts counts() const { return counts_; }
  /// Goes on as the packer went on whose state it is. Throws InputError if the stream has no such segments, or if so few of them
  /// cannot be all that waited.
  void restore(const PackerState& state);
  /// Goes on with this slice, and nothing waits.
  void begin_at(int64_t slice);

 private:
  void refill();
  void wait(int64_t arrival, Segment segment);
  int64_t best_fit(int64_t room) const;

  const SegmentStream& stream_;
  LongDocuments long_documents_;
  int64_t buffer_, slices_ = 0, arrivals_ = 0;
  ReadCounts counts_;
  std::map<int64_t, Segment> waiting_;               // by arrival
  std::set<std::pair<int64_t, int64_t>> by_length_;  // (left(), arrival) of the same
};

}  // namespace kappa
