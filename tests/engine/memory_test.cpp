#include <cstring>
#include <random>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/profile.h"
#include "engine/memory/persistent_slab.h"
#include "tests/support/catch.h"

using namespace kappa;

TEST_CASE("step slab: blocks are aligned, do not overlap, and come back") {
  StepSlab slab(int64_t{1} << 24);
  std::mt19937 random(1);
  struct Held {
    Memory memory;
    size_t bytes;
    int mark;
  };
  std::vector<Held> held;
  for (int i = 0; i < 3000; ++i) {
    if (held.size() > 40 || (!held.empty() && random() % 3 == 0)) {
      const size_t victim = random() % held.size();
      for (size_t b = 0; b < held[victim].bytes; ++b) REQUIRE(int(held[victim].memory[std::ptrdiff_t(b)]) == held[victim].mark);
      held.erase(held.begin() + std::ptrdiff_t(victim));
    } else {
      const size_t bytes = random() % 5000;
      held.push_back({slab.allocate(int64_t(bytes)), bytes, i % 251});
      REQUIRE(reinterpret_cast<uintptr_t>(held.back().memory.get()) % StepSlab::alignment == 0);
      std::memset(held.back().memory.get(), held.back().mark, bytes);
    }
  }
  const int64_t peak = slab.peak();
  held.clear();
  REQUIRE(slab.in_use() == 0);
  // All holes have become one again: a block of nearly everything fits at the start.
  const Memory all = slab.allocate(slab.capacity() - 2 * StepSlab::alignment);
  REQUIRE(slab.peak() > peak);
}

TEST_CASE("step slab: the same steps use the same memory") {
  StepSlab slab(int64_t{1} << 24);
  const auto step = [&] {
    std::vector<Memory> kept;
    for (int64_t bytes : {1000, 70000, 3, 5000}) {
      kept.push_back(slab.allocate(bytes));
      slab.allocate(bytes * 2);  // gone at once
    }
    return kept.back().get();
  };
  std::byte* const first = step();
  const int64_t peak = slab.peak();
  REQUIRE(step() == first);
  REQUIRE(slab.peak() == peak);
}

TEST_CASE("step slab: full is an error that says what would help") {
  StepSlab slab(int64_t{1} << 20);
  const Memory half = slab.allocate(int64_t{1} << 19);
  REQUIRE_THROWS_AS(slab.allocate(int64_t{1} << 20), OutOfMemory);
  REQUIRE_THROWS_WITH(slab.allocate(int64_t{1} << 20), contains("train.device_batch_size"));
}

TEST_CASE("step slab: full names the ops that hold most") {
  StepSlab slab(int64_t{64} << 20);
  std::vector<Memory> held;
  for (const auto& [op, mib] : {std::pair{"small", 1}, {"large", 20}, {"middle", 6}, {"large", 10}, {"other", 3}}) {
    const OpScope scope(op);
    held.push_back(slab.allocate((int64_t{mib} << 20) - StepSlab::alignment));
  }
  REQUIRE_THROWS_WITH(slab.allocate(int64_t{30} << 20),
                      contains("64 MiB there are (large 30 MiB, middle 6 MiB, other 3 MiB); fewer rows"));
}

TEST_CASE("step slab: memory of a device is only counted") {
  std::byte nothing[1];
  StepSlab slab(Memory(nothing, [](std::byte*) {}), int64_t{1} << 40);  // addresses that nobody may touch
  slab.poison(true);
  const Memory a = slab.allocate(int64_t{1} << 30), b = slab.allocate(10);
  REQUIRE(b.get() - a.get() == (int64_t{1} << 30) + StepSlab::alignment);
}

TEST_CASE("step slab: what was written behind a block is noticed when it comes back") {
  StepSlab slab(int64_t{1} << 20);
  slab.poison(true);
  slab.allocate(100);
  REQUIRE(slab.overruns() == 0);
#if !defined(__SANITIZE_ADDRESS__)  // which would stop at the write
  {
    const Memory block = slab.allocate(100);
    block.get()[100] = std::byte{1};
  }
  REQUIRE(slab.overruns() == 1);
#endif
}

TEST_CASE("step slab: poison") {
  StepSlab slab(int64_t{1} << 20);
  slab.poison(true);
  const Memory block = slab.allocate(8);
  double value = 0;
  std::memcpy(&value, block.get(), 8);
  REQUIRE(value != value);
}

TEST_CASE("persistent slab: zeroed pieces in order, exactly as many as were paid for") {
  PersistentSlab slab(PersistentSlab::footprint(10) + PersistentSlab::footprint(300));
  const Memory a = slab.take(10), b = slab.take(300);
  REQUIRE(b.get() - a.get() == PersistentSlab::footprint(10));
  for (int i = 0; i < 300; ++i) REQUIRE(int(b[i]) == 0);
  REQUIRE(slab.used() == slab.size());
  REQUIRE_THROWS_AS(slab.take(1), std::logic_error);
}
