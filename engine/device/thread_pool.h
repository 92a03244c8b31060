#pragma once
// The host's threads. Work is cut into tiles that do not depend on how many threads there are, and a tile is computed by one
// thread from start to end, so that results do not depend on it either.

#include <cstdint>
#include <type_traits>

namespace kappa {

/// How many threads share the work, the caller's among them. 0 means one a core. Not while a parallel_for runs.
void set_threads(int count);
int threads();

namespace detail {
void run_tiles(int64_t tiles, void* body, void (*call)(void* body, int64_t tile, int worker));
}

/// Calls body(tile) or body(tile, worker) for every tile in [0, tiles), in no particular order, from several threads; returns
/// when all are done. `worker` is in [0, threads()) and names the thread, for scratch memory of its own. Inside a parallel_for it
/// runs on the spot, as the worker that called it. What a body throws is thrown again here, once, after the other threads have
/// stopped.
template <class Body>
void parallel_for(int64_t tiles, Body&& body) {
  using B = std::remove_reference_t<Body>;
  detail::run_tiles(tiles, const_cast<void*>(static_cast<const void*>(&body)), [](void* b, int64_t tile, int worker) {
    if constexpr (std::is_invocable_v<B&, int64_t, int>)
      (*static_cast<B*>(b))(tile, worker);
    else
      (*static_cast<B*>(b))(tile);
  });
}

/// A half-open range of rows, columns or elements.
struct Range {
  int64_t begin, end;
};

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Calls body(Range) for [0, n) cut into pieces of `grain`.
template <class Body>
void parallel_ranges(int64_t n, int64_t grain, Body&& body) {
  parallel_for(ceil_div(n, grain), [&](int64_t tile) {
    const int64_t begin = tile * grain, end = begin + grain < n ? begin + grain : n;
    body(Range{begin, end});
  });
}

}  // namespace kappa
