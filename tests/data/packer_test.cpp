#include "data/packer.h"

#include <set>

#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Documents of given lengths, in a cycle, in slices of one size. The tokens of document d are all d.
class Cycle : public SegmentStream {
 public:
  Cycle(std::vector<int64_t> lengths, int64_t slice_size) : lengths_(std::move(lengths)), slice_size_(slice_size) {}

  std::function<Slice()> read_slice(int64_t index) const override {
    return [this, index] {
      Slice slice;
      for (int64_t i = 0; i < slice_size_; ++i) slice.segments.push_back(segment(index * slice_size_ + i));
      return slice;
    };
  }
  bool begins_epoch(int64_t) const override { return false; }
  Segment segment(int64_t number) const override {
    const int64_t d = number % int64_t(lengths_.size());
    return {number, std::vector<int32_t>(size_t(lengths_[size_t(d)]), int32_t(d))};
  }
  uint64_t fingerprint() const override { return 0; }
  RankOf rank() const override { return {}; }

 private:
  std::vector<int64_t> lengths_;
  int64_t slice_size_;
};

/// spec/evaluation.md §4.3 taken at its word: a list, searched from its first element for every choice.
class SlowPacker {
 public:
  SlowPacker(const SegmentStream& stream, size_t buffer) : stream_(stream), buffer_(buffer) {}

  std::vector<int32_t> pack(size_t capacity) {
    std::vector<int32_t> row;
    while (row.size() < capacity) {
      while (documents_.size() < buffer_)
        for (const Slice slice = stream_.slice(slices_++); const auto& segment : slice.segments)
          documents_.push_back(segment.tokens);
      const size_t room = capacity - row.size();
      size_t best = documents_.size(), shortest = 0;
      for (size_t i = 0; i < documents_.size(); ++i) {
        const size_t length = documents_[i].size();
        if (length <= room && (best == documents_.size() || length > documents_[best].size())) best = i;
        if (length < documents_[shortest].size()) shortest = i;
      }
      const size_t chosen = best < documents_.size() ? best : shortest;
      const auto& document = documents_[chosen];
      row.insert(row.end(), document.begin(), document.begin() + ptrdiff_t(std::min(room, document.size())));
      documents_.erase(documents_.begin() + ptrdiff_t(chosen));
    }
    return row;
  }

 private:
  const SegmentStream& stream_;
  size_t buffer_;
  int64_t slices_ = 0;
  std::vector<std::vector<int32_t>> documents_;
};

std::vector<int32_t> pack(Packer& packer, size_t capacity) {
  std::vector<int32_t> row(capacity, -7);
  packer.pack(row);
  return row;
}

Cycle random_cycle(std::mt19937_64& random, int64_t longest) {
  std::vector<int64_t> lengths;
  for (int64_t n = 1 + random_below(random, 60); n > 0; --n) lengths.push_back(1 + random_below(random, longest));
  return {lengths, 1 + random_below(random, 9)};
}

}  // namespace

TEST_CASE("packer: rows of known documents") {
  for (const auto& example : fixture("packing.json")) {
    const Cycle stream(example["doc_lengths_cyclic"].get<std::vector<int64_t>>(), example["tokenizer_batch"].get<int64_t>());
    Packer packer(stream, LongDocuments::crop, example["buffer_size"].get<int64_t>());
    const auto& slices = example["last_fetched_batch_per_row"];
    for (size_t r = 0; r < example["rows"].size(); ++r) {
      std::vector<int32_t> expected;
      for (const auto& part : example["rows"][r]) expected.insert(expected.end(), part[1].get<size_t>(), part[0].get<int32_t>());
      CHECK(pack(packer, example["row_capacity"].get<size_t>()) == expected);
      CHECK(packer.state().slices - 1 == slices[r].get<int64_t>());
    }
  }
}

TEST_CASE("packer: the ordered buffer chooses what a search of the list chooses") {
  std::mt19937_64 random(53);
  for (int round = 0; round < 200; ++round) {
    const int64_t longest = 1 + random_below(random, 50), buffer = 1 + random_below(random, 40);
    const size_t capacity = 2 + size_t(random_below(random, 60));
    const Cycle stream = random_cycle(random, longest);
    Packer packer(stream, LongDocuments::crop, buffer);
    SlowPacker slow(stream, size_t(buffer));
    for (int row = 0; row < 40; ++row) REQUIRE(pack(packer, capacity) == slow.pack(capacity));
  }
}

TEST_CASE("packer: with the paper's buffer of 1000 and slices of 128") {
  std::mt19937_64 random(59);
  std::vector<int64_t> lengths;
  for (int i = 0; i < 5000; ++i) lengths.push_back(1 + random_below(random, random_below(random, 10) ? 300 : 3000));
  const Cycle stream(lengths, 128);
  Packer packer(stream, LongDocuments::crop);
  SlowPacker slow(stream, 1000);
  for (int row = 0; row < 1500; ++row) REQUIRE(pack(packer, 257) == slow.pack(257));
}

TEST_CASE("packer: goes on from any state as if it had not stopped") {
  std::mt19937_64 random(61);
  for (const auto mode : {LongDocuments::crop, LongDocuments::split})
    for (int round = 0; round < 30; ++round) {
      const Cycle stream = random_cycle(random, 50);
      Packer one(stream, mode, 20);
      for (int64_t rows = random_below(random, 30); rows > 0; --rows) pack(one, 33);
      const PackerState state = one.state();
      Packer other(stream, mode, 20);
      pack(other, 33);
      other.restore(state);
      REQUIRE(other.state() == state);
      for (int row = 0; row < 30; ++row) REQUIRE(pack(one, 33) == pack(other, 33));
    }
}

TEST_CASE("packer: with nothing dropped, every token of the stream is in a row once, and in its document's order") {
  std::mt19937_64 random(67);
  for (int round = 0; round < 50; ++round) {
    const Cycle stream = random_cycle(random, 50);
    Packer packer(stream, LongDocuments::split, 10);
    constexpr size_t capacity = 20;
    std::map<int32_t, int64_t> packed;
    int64_t contexts = 0, rows = 0;
    for (; rows < 100; ++rows) {
      const auto front = packer.state().waiting;
      for (int32_t token : pack(packer, capacity)) ++packed[token];
      if (!front.empty() && front.front().used > 0)
        ++contexts, --packed[int32_t(stream.segment(front.front().segment).tokens[0])];
    }
    int64_t fetched = 0, waiting = 0, total = 0;
    const PackerState state = packer.state();
    for (int64_t i = 0; i < state.slices; ++i)
      for (const Slice slice = stream.slice(i); const auto& segment : slice.segments) fetched += int64_t(segment.tokens.size());
    for (const auto& [number, used] : state.waiting) waiting += int64_t(stream.segment(number).tokens.size()) - used;
    for (const auto& [token, count] : packed) total += count;
    REQUIRE(total == rows * int64_t(capacity) - contexts);
    REQUIRE(total == fetched - waiting);
  }
}

TEST_CASE("packer: a state that the stream does not know is refused") {
  const Cycle stream({5, 6, 7}, 2);
  Packer packer(stream, LongDocuments::crop, 4);
  for (const int64_t bad : {int64_t{-1}, std::numeric_limits<int64_t>::max()})
    CHECK(contains(complaint([&] { packer.begin_at(bad); }), "slices"));
  for (const PackerState::Waiting bad : {PackerState::Waiting{0, 5}, {0, -1}, {1, 100}})
    CHECK(contains(complaint([&] { packer.restore({.slices = 1, .waiting = {bad}}); }), "loader state: segment"));
  // Three of four are left when a row has taken one; two are too few, but where split text ended an epoch of two slices.
  struct Epochs : Cycle {
    using Cycle::Cycle;
    bool begins_epoch(int64_t index) const override { return index % 2 == 0; }
  };
  const Epochs epochs({5, 6, 7}, 2);
  const auto restored = [&](LongDocuments mode, int64_t slices, const std::vector<PackerState::Waiting>& waiting) {
    return complaint([&] { Packer(epochs, mode, 4).restore({.slices = slices, .waiting = waiting}); });
  };
  const std::vector<PackerState::Waiting> two{{0, 0}, {2, 0}}, three{{0, 0}, {1, 0}, {2, 0}};
  CHECK(restored(LongDocuments::crop, 2, three).empty());
  CHECK(contains(restored(LongDocuments::crop, 2, two), "after 2 slices, expected at least 3 segments that wait, found 2"));
  CHECK(contains(restored(LongDocuments::split, 1, two), "expected at least 3 segments that wait, found 2"));
  CHECK(restored(LongDocuments::split, 2, two).empty());
  CHECK(restored(LongDocuments::crop, 0, {}).empty());
}
