#include "data/segment_stream.h"

#include <algorithm>
#include <numeric>

#include "data/fingerprint.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/device/thread_pool.h"

namespace kappa {

void check(RankOf of) {
  require(of.world >= 1, "rank: expected at least one rank, found {}", of.world);
  require(of.rank >= 0 && of.rank < of.world, "rank: expected 0 to {}, found {}", of.world - 1, of.rank);
}

CorpusStream::CorpusStream(const TokenCorpus& corpus, const StreamOptions& options) : corpus_(corpus), options_(options) {
  const auto [length, long_documents, seed, of] = options;
  const auto [rank, world] = of;
  require(length >= 1, "row length: expected at least 1, found {}", length);
  check(of);
  for (int64_t i = 0; i < corpus.documents(); ++i) {
    const int64_t first = corpus.begins[size_t(i)], last = corpus.begins[size_t(i) + 1];
    const int64_t cut = long_documents == LongDocuments::split ? std::min(first + length + 1, last) : last;
    extents_.push_back({first, cut, 0});
    for (int64_t at = cut; at < last; at += length) extents_.push_back({at - 1, std::min(at + length, last), 1});
  }
  const auto count = int64_t(extents_.size());
  require(rank < count, "training data: {} documents or parts of documents are too few for {} ranks", count, world);
  share_ = ceil_div(count - rank, world);
}

/// A permutation of the extents, the same on every rank (Fisher and Yates).
const std::vector<int64_t>& CorpusStream::order(int64_t epoch) const {
  if (order_epoch_ == epoch) return order_;
  order_.resize(extents_.size());
  std::iota(order_.begin(), order_.end(), int64_t{0});
  if (options_.long_documents == LongDocuments::split) {
    const Random random(options_.seed, "order of segments", uint64_t(epoch));
    for (size_t i = order_.size() - 1; i > 0; --i)
      std::swap(order_[i], order_[size_t(random.uniform<double>(int64_t(i)) * double(i + 1))]);
  }
  order_epoch_ = epoch;
  return order_;
}

Segment CorpusStream::segment(int64_t number) const {
  require(number >= 0, "training data: there is no segment {}", number);
  const int64_t place = options_.rank.rank + number % share_ * options_.rank.world;
  const auto [begin, end, used] = extents_[size_t(order(number / share_)[size_t(place)])];
  return {number, {corpus_.tokens.begin() + begin, corpus_.tokens.begin() + end}, used};
}

std::function<Slice()> CorpusStream::read_slice(int64_t index) const {
  const int64_t slices = ceil_div(share_, slice_size), epoch = index / slices, first = index % slices * slice_size;
  Slice slice;
  for (int64_t i = first; i < std::min(first + slice_size, share_); ++i) slice.segments.push_back(segment(epoch * share_ + i));
  return [slice = std::move(slice)]() mutable { return std::move(slice); };
}

bool CorpusStream::begins_epoch(int64_t index) const { return index % ceil_div(share_, slice_size) == 0; }

uint64_t CorpusStream::fingerprint() const {
  Fingerprint fingerprint;
  const auto add = [&](auto value) { fingerprint.add(uint64_t(value)); };
  for (int32_t token : corpus_.tokens) add(token);
  for (int64_t begin : corpus_.begins) add(begin);
  add(options_.length), add(options_.long_documents), add(options_.seed);
  return fingerprint.value();
}

}  // namespace kappa
