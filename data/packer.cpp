#include "data/packer.h"

#include <algorithm>

#include "engine/core/error.h"

namespace kappa {

void Packer::wait(int64_t arrival, Segment segment) {
  by_length_.emplace(segment.left(), arrival);
  waiting_.emplace(arrival, std::move(segment));
}

void Packer::refill() {
  const bool finish_epoch = long_documents_ == LongDocuments::split;
  while (int64_t(waiting_.size()) < buffer_) {
    if (finish_epoch && !waiting_.empty() && stream_.begins_epoch(slices_)) return;
    Slice slice = stream_.slice(slices_++);
    counts_ = counts_ + slice.counts;
    for (Segment& segment : slice.segments) wait(arrivals_++, std::move(segment));
  }
}

/// The arrival number of the longest of at most `room` tokens, or else of the shortest.
int64_t Packer::best_fit(int64_t room) const {
  const auto longer = by_length_.lower_bound({room + 1, 0});
  const int64_t length = longer == by_length_.begin() ? longer->first : std::prev(longer)->first;
  return by_length_.lower_bound({length, 0})->second;
}

void Packer::pack(std::span<int32_t> row) {
  const bool drop = long_documents_ == LongDocuments::crop;
  for (size_t at = 0; at < row.size();) {
    refill();
    const int64_t arrival = at == 0 && !drop ? waiting_.begin()->first : best_fit(int64_t(row.size() - at));
    auto node = waiting_.extract(arrival);
    Segment& segment = node.mapped();
    by_length_.erase({segment.left(), arrival});

    if (at == 0 && segment.used > 0) row[at++] = segment.tokens[size_t(segment.used - 1)];
    const size_t count = std::min(size_t(segment.left()), row.size() - at);
    std::copy_n(segment.tokens.begin() + segment.used, count, row.begin() + ptrdiff_t(at));
    at += count;
    segment.used += int64_t(count);
    if (!drop && segment.left() > 0) wait(arrival, std::move(segment));
  }
}

PackerState Packer::state() const {
  PackerState state{.slices = slices_, .waiting = {}};
  for (const auto& [arrival, segment] : waiting_) state.waiting.push_back({segment.number, segment.used});
  return state;
}

void Packer::begin_at(int64_t slice) {
  waiting_.clear();
  by_length_.clear();
  constexpr int64_t most = int64_t{1} << 48;  // beyond all data, and its documents can still be counted
  require(slice >= 0 && slice <= most, "loader state: expected 0 to {} slices, found {}", most, slice);
  slices_ = slice;
  arrivals_ = 0;
  counts_ = {};
}

void Packer::restore(const PackerState& state) {
  begin_at(state.slices);
  for (const auto& [number, used] : state.waiting) {
    Segment segment = stream_.segment(number);
    require(used >= segment.used && used < int64_t(segment.tokens.size()),
            "loader state: segment {} has {} tokens, {} of them used", number, segment.tokens.size(), used);
    segment.used = used;
    wait(arrivals_++, std::move(segment));
  }
  // A row takes what it needs one by one out of a full buffer; only an epoch that is used up first leaves it emptier.
  const auto count = int64_t(waiting_.size());
  const bool full =
      count >= buffer_ - 1 || slices_ == 0 || (long_documents_ == LongDocuments::split && stream_.begins_epoch(slices_));
  require(full, "loader state: after {} slices, expected at least {} segments that wait, found {}", slices_, buffer_ - 1, count);
}

}  // namespace kappa
