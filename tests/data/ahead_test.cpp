#include "data/ahead.h"

#include <atomic>
#include <chrono>

#include "data/ahead_stream.h"
#include "data/token_loader.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Slices of a few segments whose lengths, and the time that they take, are pseudo-random. Reading checks that it is alone.
class Ragged : public SegmentStream {
 public:
  explicit Ragged(int64_t fails_at = -1, bool while_read = false) : fails_at_(fails_at), while_read_(while_read) {}

  std::function<Slice()> read_slice(int64_t index) const override {
    const Alone alone(*this);
    if (while_read_) fail(index);
    furthest = std::max<int64_t>(furthest, index);
    return [this, index] {
      fail(index);
      std::this_thread::sleep_for(std::chrono::microseconds(hash(index) % 300));
      Slice slice{.segments = {}, .counts = {.nulls = 1}};
      for (int64_t i = 0; i < 8; ++i) slice.segments.push_back(segment_of(index * 8 + i));
      return slice;
    };
  }
  bool begins_epoch(int64_t index) const override {
    const Alone alone(*this);
    return index % 10 == 0;
  }
  Segment segment(int64_t number) const override {
    const Alone alone(*this);
    return segment_of(number);
  }
  uint64_t fingerprint() const override { return 7; }
  RankOf rank() const override { return {}; }

  mutable std::atomic<int64_t> furthest{-1};
  mutable std::atomic<bool> was_alone{true};

 private:
  struct Alone {
    const Ragged& stream;
    explicit Alone(const Ragged& s) : stream(s) {
      if (stream.inside_.fetch_add(1) != 0) stream.was_alone = false;
      std::this_thread::yield();
    }
    ~Alone() { --stream.inside_; }
  };
  static uint64_t hash(int64_t n) { return std::mt19937_64(uint64_t(n))(); }
  static Segment segment_of(int64_t number) { return {number, std::vector<int32_t>(1 + hash(number) % 40, int32_t(number)), 0}; }
  void fail(int64_t index) const { require(index != fails_at_, "slice {} is damaged", index); }

  int64_t fails_at_;
  bool while_read_;
  mutable std::atomic<int> inside_{0};
};

PackedLoader loader_of(std::unique_ptr<SegmentStream> stream, int64_t workers) {
  return {std::move(stream), LongDocuments::crop, {.rows = 3, .length = 31}, workers};
}

std::vector<int32_t> tokens_of(const Slice& slice) {
  std::vector<int32_t> all;
  for (const Segment& segment : slice.segments) all.insert(all.end(), segment.tokens.begin(), segment.tokens.end());
  return all;
}

}  // namespace

TEST_CASE("ahead: results come in order, no more than there is room for are made, and a failure in its place") {
  std::atomic<int> calls{0};
  Ahead<int> ahead(3, [&] {
    if (calls == 20) throw RunError("no more");
    return calls++;
  });
  for (int i = 0; i < 20; ++i) {
    CHECK(ahead.next() == i);
    CHECK(calls <= i + 1 + 4);  // three wait, one is being made
  }
  for (int i = 0; i < 3; ++i) CHECK_THROWS_WITH(ahead.next(), "no more");
  CHECK(calls == 20);

  const Ahead<int> never_asked(2, [] { return 1; });  // ends
}

TEST_CASE("ahead: a stream gives the same for any number of workers, from any slice on, and reads not too far") {
  const Ragged plain;
  for (const int64_t workers : {1, 2, 5}) {
    auto owned = std::make_unique<Ragged>();
    const Ragged& inner = *owned;
    const AheadStream ahead(std::move(owned), workers);
    CHECK(inner.furthest == -1);  // nothing before it is asked for
    int64_t allowed = 0;          // never falls: a worker may end its reading after the reader has gone back
    for (const int64_t first : {0, 30, 7}) {
      for (int64_t s = first; s < first + 25; ++s) {
        const Slice slice = ahead.slice(s);
        REQUIRE(tokens_of(slice) == tokens_of(plain.slice(s)));
        REQUIRE(slice.counts.nulls == 1);
        REQUIRE(ahead.begins_epoch(s) == (s % 10 == 0));
        REQUIRE(ahead.segment(s * 3).tokens == plain.segment(s * 3).tokens);
        allowed = std::max(allowed, s + 4 * workers);
        REQUIRE(inner.furthest <= allowed);
      }
    }
    CHECK(inner.was_alone);
    CHECK(ahead.fingerprint() == 7);
  }
}

TEST_CASE("ahead: batches, states and counts do not depend on the number of workers") {
  for (const int64_t workers : {1, 3}) {
    PackedLoader plain = loader_of(std::make_unique<Ragged>(), 0), ahead = loader_of(std::make_unique<Ragged>(), workers);
    for (int b = 0; b < 60; ++b) {
      REQUIRE(plain.next().inputs == ahead.next().inputs);
      REQUIRE(plain.state() == ahead.state());
      if (b < 20) REQUIRE(plain.counts() == ahead.counts());
      if (b % 20 != 19) continue;
      // Another one goes on from here, and so does the same one from where it was.
      const LoaderState here = ahead.state();
      PackedLoader other = loader_of(std::make_unique<Ragged>(), 2);
      other.restore(here);
      const Batch next = plain.next();
      REQUIRE(other.next().inputs == next.inputs);
      REQUIRE(ahead.next().inputs == next.inputs);
      ahead.restore(here);
      REQUIRE(ahead.state() == here);
      REQUIRE(ahead.counts() == ReadCounts{});
      REQUIRE(ahead.next().inputs == next.inputs);
    }
  }
}

TEST_CASE("ahead: what a worker throws arrives where its slice was needed, after all batches before it") {
  for (const bool while_read : {false, true}) {
    int batches_before = 0;
    for (const int64_t workers : {0, 1, 3}) {
      PackedLoader loader = loader_of(std::make_unique<Ragged>(200, while_read), workers);
      int batches = 0;
      std::string said;
      while (said.empty() && batches < 1000) said = complaint([&] { loader.next(), ++batches; });
      CHECK(said == "slice 200 is damaged");
      CHECK(batches > 20);
      if (workers > 0) CHECK(batches == batches_before);
      batches_before = batches;
      if (workers > 0) CHECK(complaint([&] { loader.next(); }) == said);
    }
  }
}

TEST_CASE("ahead: loaders may be dropped at any time") {
  for (int round = 0; round < 30; ++round) {
    PackedLoader loader = loader_of(std::make_unique<Ragged>(round == 7 ? 130 : -1), 1 + round % 4);
    for (int b = 0; b < round % 5; ++b) loader.next();
    std::this_thread::sleep_for(std::chrono::microseconds(200 * (round % 3)));
  }
}
