// The host's model of a CUDA grid: what it computes, and that it finds what is wrong with a kernel.

#include "engine/device/host_grid.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "tests/support/catch.h"

using namespace kappa;
using host_grid::KernelError;
using host_grid::Order;
using host_grid::OrderScope;

namespace {

const EmulatedQueue queue;

/// What a kernel leaves in `n` integers or floats, under every order.
template <class T, class Run>
std::vector<std::vector<T>> under_every_order(size_t n, Run run) {
  std::vector<std::vector<T>> results;
  for (const auto& [order, seed] :
       {std::pair{Order::ascending, 1}, {Order::descending, 1}, {Order::shuffled, 1}, {Order::shuffled, 2}}) {
    const OrderScope scope(order, uint64_t(seed));
    results.emplace_back(n);
    run(results.back().data());
  }
  return results;
}
template <class T>
bool all_equal(const std::vector<std::vector<T>>& results) {
  return std::ranges::all_of(results, [&](const auto& r) { return r == results.front(); });
}

__global__ void where_kernel(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += int(1000 * block + thread);
}

struct Exchange {
  int values[96];
};
/// Every thread gets its neighbour's number through shared memory.
template <bool with_barrier>
__global__ void exchange_kernel(int* out) {
  Exchange& s = shared<Exchange>();
  s.values[threadIdx.x] = int(100 * blockIdx.x + threadIdx.x);
  if (with_barrier) __syncthreads();
  out[blockIdx.x * 96 + threadIdx.x] = s.values[(threadIdx.x + 33) % 96];
}

__global__ void warp_kernel(int* out, float* sums) {
  const unsigned l = threadIdx.x % 32;
  int* const mine = out + threadIdx.x * 7;
  mine[0] = __shfl_sync(full_warp, int(threadIdx.x), 5);
  mine[1] = __shfl_up_sync(full_warp, int(l), 3);
  mine[2] = __shfl_down_sync(full_warp, int(l), 30);
  mine[3] = int(__match_any_sync(full_warp, l % 3));
  mine[4] = int(__ballot_sync(full_warp, l % 4 == 1));
  mine[5] = __any_sync(full_warp, l == 31) + 2 * __all_sync(full_warp, l < 31);
  if (l % 2 == 0)
    mine[6] = __shfl_xor_sync(0x55555555u, int(l), 2);  // half a warp on its own
  else
    mine[6] = __popc(0xf0f0u) + __ffs(8);
  __syncwarp();
  sums[threadIdx.x] = warp_sum(0.1f * float(l)) + warp_max(-float(l));
}

}  // namespace

TEST_CASE("host grid: every thread of every block runs once, in any order") {
  const dim3 blocks{3, 2, 2}, threads{5, 4, 3};
  const size_t n = 12 * 60;
  const auto results = under_every_order<int>(n, [&](int* out) { launch("where", where_kernel, {blocks, threads}, queue, out); });
  for (size_t i = 0; i < n; ++i) REQUIRE(results.front()[i] == int(1000 * (i / 60) + i % 60));
  REQUIRE(all_equal(results));
  launch("where", where_kernel, {{0, 1, 1}, threads}, queue, nullptr);  // no blocks: nothing happens
}

TEST_CASE("host grid: barriers order shared memory, and a missing one shows") {
  const auto right = under_every_order<int>(192, [&](int* out) {
    launch("exchange", exchange_kernel<true>, {2, 96}, queue, out);
  });
  REQUIRE(all_equal(right));
  for (int i = 0; i < 192; ++i) REQUIRE(right.front()[size_t(i)] == 100 * (i / 96) + (i + 33) % 96);
#if !defined(__SANITIZE_THREAD__)  // which would rightly stop here
  const auto wrong = under_every_order<int>(192, [&](int* out) {
    launch("exchange", exchange_kernel<false>, {2, 96}, queue, out);
  });
  REQUIRE_FALSE(all_equal(wrong));
  REQUIRE(std::ranges::count(wrong.front(), -1) > 0);  // shared memory that nobody had written yet
#endif
}

TEST_CASE("host grid: the warp's collectives") {
  std::vector<float> sums(64);
  const auto results = under_every_order<int>(64 * 7, [&](int* out) {
    launch("warp", warp_kernel, {1, 64}, queue, out, sums.data());
  });
  REQUIRE(all_equal(results));
  for (int t = 0; t < 64; ++t) {
    const int* const mine = &results.front()[size_t(t) * 7];
    const int l = t % 32;
    REQUIRE(mine[0] == t / 32 * 32 + 5);
    REQUIRE(mine[1] == (l >= 3 ? l - 3 : l));
    REQUIRE(mine[2] == (l < 2 ? l + 30 : l));
    unsigned same = 0;
    for (int other = 0; other < 32; ++other) same |= unsigned(other % 3 == l % 3) << other;
    REQUIRE(unsigned(mine[3]) == same);
    REQUIRE(unsigned(mine[4]) == 0x22222222u);
    REQUIRE(mine[5] == 1);
    REQUIRE(mine[6] == (l % 2 == 0 ? (l ^ 2) : 8 + 4));
    REQUIRE(sums[size_t(t)] == sums[0]);
    REQUIRE(sums[size_t(t)] == Approx(49.6f));
  }
}

namespace {

__global__ void stuck_kernel() {
  if (threadIdx.x < 7) __syncthreads();
  if (threadIdx.x >= 7) __syncwarp();
}
__global__ void two_lines_kernel() {
  if (threadIdx.x < 7)  // NOLINT(bugprone-branch-clone)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void left_kernel() {
  if (threadIdx.x == 3) return;
  __syncwarp();
}
__global__ void half_mask_kernel(int* out) { out[threadIdx.x] = __shfl_sync(0xffffu << 16 * (threadIdx.x / 16), 1, 20); }
__global__ void thrower_kernel() { throw std::runtime_error("from a thread"); }
__global__ void behind_kernel(int index) { shared<Exchange>().values[index] = 1; }
__global__ void dynamic_kernel(int* out, size_t count) {
  int* const values = dynamic_shared<int>(count);
  values[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}
__global__ void misaligned_kernel(const float* from, float* to) { store_pack(to, load_pack<4>(from + 1)); }

}  // namespace

TEST_CASE("host grid: threads that wait in vain end the launch with the kernel's name and the place") {
  REQUIRE_THROWS_WITH(launch("stuck", stuck_kernel, {2, 16}, queue),
                      contains("stuck: block (0, 0, 0): ") && contains("host_grid_test.cpp:"));
  REQUIRE_THROWS_WITH(launch("lines", two_lines_kernel, {1, 16}, queue),
                      contains("lines: block (0, 0, 0): threads that must meet"));
  REQUIRE_THROWS_WITH(launch("left", left_kernel, {1, 32}, queue), contains("lane 3, which has left the kernel"));
  REQUIRE_THROWS_WITH(launch("short", left_kernel, {1, 3}, queue), contains("lane 3, which the warp does not have"));
  std::vector<int> out(32);
  REQUIRE_THROWS_WITH(launch("half", half_mask_kernel, {1, 32}, queue, out.data()),
                      contains("lane 20, which is not in the mask 0xffff"));
  REQUIRE_THROWS_WITH(launch("thrower", thrower_kernel, {1, 32}, queue), "from a thread");
}

TEST_CASE("host grid: what the GPU would refuse is refused") {
  REQUIRE_THROWS_AS(launch("big", stuck_kernel, {1, 1025}, queue), KernelError);
  REQUIRE_THROWS_AS(launch("wide", stuck_kernel, {{1, 65536, 1}, 1}, queue), KernelError);
  REQUIRE_THROWS_AS(launch("greedy", stuck_kernel, {1, 1, 228 * 1024}, queue), KernelError);
  alignas(16) float numbers[8] = {};
  REQUIRE_THROWS_WITH(launch("packs", misaligned_kernel, {1, 1}, queue, numbers, numbers + 4),
                      contains("packs: ") && contains("no multiple"));
}

TEST_CASE("host grid: dynamic shared memory has the size it was launched with") {
  std::vector<int> out(8);
  launch("dynamic", dynamic_kernel, {2, 8, 8 * sizeof(int)}, queue, out.data(), size_t(8));
  for (int i = 0; i < 8; ++i) REQUIRE(out[size_t(i)] == 7 - i);
  REQUIRE_THROWS_WITH(launch("dynamic", dynamic_kernel, {1, 8, 28}, queue, out.data(), size_t(8)),
                      "dynamic: block (0, 0, 0): uses 32 bytes of dynamic shared memory, launched with 28");
}

namespace {

/// Whether `body` ends with an error, in a process of its own: under AddressSanitizer the error is its end.
template <class Body>
bool fails(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    close(2);  // what a sanitizer would print
    try {
      body();
    } catch (...) {
      _exit(3);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

__global__ void copy_kernel(int64_t n, const float* from, float* to) {
  const int64_t i = int64_t(blockIdx.x) * 32 + threadIdx.x;
  if (i <= n) to[i] = from[i] + 1;  // one too many
}

}  // namespace

TEST_CASE("host grid: an index out of bounds is found, in shared and in global memory") {
  REQUIRE_FALSE(fails([] { launch("inside", behind_kernel, {1, 1}, queue, 95); }));
  REQUIRE(fails([] { launch("behind", behind_kernel, {1, 1}, queue, 96); }));
  REQUIRE(fails([] {
    StepSlab slab(1 << 20);
    slab.poison(true);
    {
      const Memory from = slab.allocate(40), to = slab.allocate(40);
      launch("copy", copy_kernel, {1, 32}, queue, int64_t(10), reinterpret_cast<const float*>(from.get()),
             reinterpret_cast<float*>(to.get()));
    }
    if (slab.overruns() > 0) throw std::runtime_error("found");
  }));
}

namespace {

/// Adds up what nobody has written.
__global__ void unwritten_kernel(const float* from, float* to) { to[threadIdx.x] = warp_sum(from[threadIdx.x]); }

#if !defined(__SANITIZE_THREAD__)
/// Block sums, added by whoever comes last or first: an order that depends on scheduling.
__global__ void ticket_kernel(const float* from, int* tickets, float* sum) {
  const int ticket = atomicAdd(tickets, 1);
  *sum = ticket == 0 ? from[blockIdx.x] : *sum + from[blockIdx.x];
}
#endif

}  // namespace

TEST_CASE("host grid: reading what nobody wrote gives NaN") {
  host_step_slab().poison(true);
  const Scratch<float> from(queue, 32), to(queue, 32);
  host_step_slab().poison(false);
  launch("unwritten", unwritten_kernel, {1, 32}, queue, static_cast<const float*>(from), static_cast<float*>(to));
  REQUIRE(std::isnan(to[0]));
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("host grid: a sum whose order depends on scheduling differs between orders") {
  std::vector<float> from(64);
  for (size_t i = 0; i < from.size(); ++i) from[i] = std::pow(1.7f, float(i) - 32) * (i % 2 == 0 ? 1.0f : -0.9f);
  const auto sums = under_every_order<float>(1, [&](float* sum) {
    int tickets = 0;
    launch("ticket", ticket_kernel, {64, 1}, queue, static_cast<const float*>(from.data()), &tickets, sum);
  });
  REQUIRE_FALSE(all_equal(sums));
}
#else

static int races = 0;
extern "C" void __tsan_on_report(void*) { ++races; }

TEST_CASE("host grid: ThreadSanitizer finds a race although threads never run at one time") {
  const auto race_in = [](auto kernel, dim3 threads) {
    return fails([=] {
      std::vector<int> out(192);
      launch("race", kernel, {1, threads}, queue, out.data());
      if (races > 0) throw std::runtime_error("found");
    });
  };
  REQUIRE_FALSE(race_in(exchange_kernel<true>, 96));
  REQUIRE(race_in(exchange_kernel<false>, 96));
}
#endif
