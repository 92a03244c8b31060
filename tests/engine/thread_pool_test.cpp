#include "engine/device/thread_pool.h"

#include <array>
#include <atomic>
#include <stdexcept>
#include <vector>

#include "engine/device/block_sum.h"
#include "tests/support/catch.h"

using namespace kappa;

namespace {
/// Restores the number of threads.
struct Threads {
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};
}  // namespace

TEST_CASE("thread pool: every tile runs once, whatever the number of threads") {
  const Threads guard(GENERATE(1, 2, 5));
  for (int64_t tiles : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(tiles));
    parallel_for(tiles, [&](int64_t tile, int worker) {
      if (worker < 0 || worker >= threads()) throw std::logic_error("a worker that is none");
      ++runs[size_t(tile)];
    });
    for (const auto& count : runs) REQUIRE(count == 1);
  }
}

TEST_CASE("thread pool: ranges cover everything once, the last may be shorter") {
  std::vector<std::atomic<int>> hits(1001);
  parallel_ranges(1001, 64, [&](Range r) {
    for (int64_t i = r.begin; i < r.end; ++i) ++hits[size_t(i)];
  });
  for (const auto& count : hits) REQUIRE(count == 1);
}

TEST_CASE("thread pool: a loop inside a loop runs on the spot") {
  const Threads guard(3);
  std::atomic<int64_t> sum = 0;
  parallel_for(10, [&](int64_t outer, int worker) {
    parallel_for(10, [&](int64_t inner, int same) {
      if (same != worker) throw std::logic_error("another worker");
      sum += outer * 10 + inner;
    });
  });
  REQUIRE(sum == 4950);
}

TEST_CASE("thread pool: what a tile throws arrives once, and the pool goes on") {
  const Threads guard(GENERATE(1, 3));
  REQUIRE_THROWS_WITH(parallel_for(100,
                                   [](int64_t tile) {
                                     if (tile % 7 == 3) throw std::runtime_error("tile");
                                   }),
                      "tile");
  std::atomic<int> runs = 0;
  parallel_for(100, [&](int64_t) { ++runs; });
  REQUIRE(runs == 100);
}

TEST_CASE("thread pool: many short loops in a row") {
  const Threads guard(2);
  int64_t total = 0;
  for (int i = 0; i < 20000; ++i) {
    std::atomic<int64_t> sum = 0;
    parallel_for(3, [&](int64_t tile) { sum += tile; });
    total += sum;
  }
  REQUIRE(total == 60000);
}

TEST_CASE("block sum: the same bits for any number of threads") {
  const auto sum = [] {
    return block_sum(100003, [](Range r) {
      double part = 0;
      for (int64_t i = r.begin; i < r.end; ++i) part += 1.0 / double(i + 1);
      return part;
    });
  };
  const Threads guard(1);
  const double one = sum();
  set_threads(4);
  REQUIRE(sum() == one);
  REQUIRE(one == Approx(12.0901761).epsilon(1e-8));  // the harmonic number of 100,003
}

TEST_CASE("thread pool: jobs that follow one another at once keep their tiles apart") {
  const Threads guard(GENERATE(2, 3, 8));  // more threads than cores too: some wake up when their job is over
  for (int64_t job = 0; job < 20000; ++job) {
    const int64_t tiles = 2 + job % 5;
    std::array<std::atomic<int64_t>, 6> ran{};
    parallel_for(tiles, [&ran, job](int64_t tile) { ran[size_t(tile)] += job + 1; });
    for (int64_t tile = 0; tile < 6; ++tile)
      if (ran[size_t(tile)] != (tile < tiles ? job + 1 : 0))
        FAIL("job " << job << ", tile " << tile << ": " << ran[size_t(tile)]);
  }
}
