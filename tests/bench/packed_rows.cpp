// Where the time of packed rows goes, stage by stage, and whether a trainer has to wait for them:
//
//     KAPPA_BENCH_SHARDS=folder KAPPA_BENCH_TOKENIZER=t.tiktoken kappa_tests "bench: packed rows*"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "data/shard_stream.h"
#include "data/token_loader.h"
#include "data/tokenizer_file.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace kappa;

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Json = nlohmann::ordered_json;

constexpr int64_t length = 2048, rows = 32;

template <class Body>
double seconds(Body&& body) {
  const auto start = Clock::now();
  body();
  return Seconds(Clock::now() - start).count();
}

/// Documents in memory, again and again, with the lengths of web pages: log-normal, half of them above 650 tokens.
class Lengths : public SegmentStream {
 public:
  explicit Lengths(int64_t documents) {
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> tokens(std::log(650), 0.9);
    for (int64_t d = 0; d < documents; ++d) lengths_.push_back(2 + int64_t(tokens(random)));
  }
  std::function<Slice()> read_slice(int64_t index) const override {
    return [this, index] {
      Slice slice;
      for (int64_t i = 0; i < slice_size; ++i) slice.segments.push_back(segment(index * slice_size + i));
      return slice;
    };
  }
  bool begins_epoch(int64_t) const override { return false; }
  Segment segment(int64_t number) const override {
    return {number, std::vector<int32_t>(size_t(lengths_[size_t(number) % lengths_.size()]), 1)};
  }
  uint64_t fingerprint() const override { return 0; }
  RankOf rank() const override { return {}; }

 private:
  std::vector<int64_t> lengths_;
};

/// The choice of spec/evaluation.md §4.3 as a search through the whole buffer: lengths alone, no tokens.
double seconds_of_search(const SegmentStream& stream, int64_t buffer, int64_t count) {
  std::vector<int64_t> waiting;
  int64_t slices = 0;
  const auto refill = [&] {
    while (int64_t(waiting.size()) < buffer)
      for (const Slice slice = stream.slice(slices++); const Segment& s : slice.segments) waiting.push_back(s.left());
  };
  refill();
  return seconds([&] {
    for (int64_t r = 0; r < count; ++r)
      for (int64_t room = length + 1; room > 0;) {
        refill();
        auto best = waiting.end(), shortest = waiting.begin();
        for (auto w = waiting.begin(); w != waiting.end(); ++w) {
          if (*w <= room && (best == waiting.end() || *w > *best)) best = w;
          if (*w < *shortest) shortest = w;
        }
        const auto chosen = best == waiting.end() ? shortest : best;
        room -= std::min(room, *chosen);
        waiting.erase(chosen);
      }
  });
}

double seconds_of_packer(const SegmentStream& stream, int64_t buffer, int64_t count) {
  Packer packer(stream, LongDocuments::crop, buffer);
  std::vector<int32_t> row(length + 1);
  packer.pack(row);  // fills the buffer
  return seconds([&] {
    for (int64_t r = 0; r < count; ++r) packer.pack(row);
  });
}

}  // namespace

TEST_CASE("bench: packing alone, and the search that it stands for", "[.bench]") {
  const Lengths stream(20'000);
  for (const int64_t buffer : {1000, 100'000}) {
    const int64_t count = 20'000, searched = buffer > 1000 ? 50 : 2000;
    const double packer = seconds_of_packer(stream, buffer, count) / double(count),
                 search = seconds_of_search(stream, buffer, searched) / double(searched);
    fmt::print("{}\n", Json{{"buffer", buffer},
                            {"tokens_per_second", double(length) / packer},
                            {"microseconds_a_row", packer * 1e6},
                            {"microseconds_a_row_searched", search * 1e6}}
                           .dump());
  }
}

TEST_CASE("bench: packed rows of Parquet shards", "[.bench]") {
  const char *shards = std::getenv("KAPPA_BENCH_SHARDS"), *file = std::getenv("KAPPA_BENCH_TOKENIZER");
  if (shards == nullptr || file == nullptr) return test::skip("KAPPA_BENCH_SHARDS and KAPPA_BENCH_TOKENIZER name no shards");
  const Tokenizer tokenizer = load_tokenizer(file);
  const auto open = [&] { return std::make_unique<ShardStream>(tokenizer, split_files(shards, {}, Split::train)); };

  {  // A stage after the other, on one thread.
    const auto stream = open();
    constexpr int64_t slices = 100;
    std::vector<std::function<Slice()>> read;
    const double reading = seconds([&] {
      for (int64_t s = 0; s < slices; ++s) read.push_back(stream->read_slice(s));
    });
    int64_t tokens = 0, bytes = 0;
    const double tokenizing = seconds([&] {
      for (const auto& make : read)
        for (const Slice slice = make(); const Segment& s : slice.segments) tokens += s.left();
    });
    for (int64_t s = 0; s < slices; ++s)
      for (const Slice slice = stream->slice(s); const Segment& segment : slice.segments)
        bytes += int64_t(tokenizer.decode_bytes(std::span(segment.tokens).subspan(1)).size());
    fmt::print("{}\n", Json{{"bytes_a_token", double(bytes) / double(tokens)},
                            {"read_bytes_per_second", double(bytes) / reading},
                            {"read_tokens_per_second", double(tokens) / reading},
                            {"tokenize_bytes_per_second", double(bytes) / tokenizing},
                            {"tokenize_tokens_per_second", double(tokens) / tokenizing}}
                           .dump());
  }

  const auto loader = [&](int64_t workers) { return PackedLoader(open(), LongDocuments::crop, {rows, length}, workers); };
  for (const int64_t workers : {0, 1, 2}) {  // As fast as it goes.
    PackedLoader packed = loader(workers);
    packed.next();
    constexpr int64_t batches = 150;
    const double time = seconds([&] {
      for (int64_t b = 0; b < batches; ++b) packed.next();
    });
    fmt::print("{}\n", Json{{"workers", workers}, {"tokens_per_second", double(batches * rows * length) / time}}.dump());
  }

  {  // A trainer of a million tokens a second: it uses no processor, as one that waits for an accelerator.
    PackedLoader packed = loader(2);
    const Seconds step(double(rows * length) / 1e6);
    packed.next();
    std::this_thread::sleep_for(std::chrono::seconds(1));  // as a first step takes
    double waited = 0, longest = 0;
    int64_t waits = 0;  // of more than a millisecond
    constexpr int64_t batches = 300;
    const double time = seconds([&] {
      auto due = Clock::now();
      for (int64_t b = 0; b < batches; ++b) {
        const double wait = seconds([&] { packed.next(); });
        waited += wait, longest = std::max(longest, wait), waits += wait > 1e-3;
        due += std::chrono::duration_cast<Clock::duration>(step);
        std::this_thread::sleep_until(due);
      }
    });
    fmt::print("{}\n", Json{{"trainer_tokens_per_second", double(batches * rows * length) / time},
                            {"share_of_time_waited", waited / time},
                            {"waits_of_a_millisecond", waits},
                            {"longest_wait_milliseconds", longest * 1e3}}
                           .dump());
  }
}
