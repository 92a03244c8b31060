#include "engine/device/host_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "engine/device/host_fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if defined(KAPPA_TSAN_FIBERS)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#else
// NOLINTBEGIN(bugprone-reserved-identifier): the names are ThreadSanitizer's
#define __tsan_acquire(address) static_cast<void>(address)
#define __tsan_release(address) static_cast<void>(address)
// NOLINTEND(bugprone-reserved-identifier)
#endif

namespace kappa::host_grid {
namespace {

constexpr unsigned max_threads = 1024;
constexpr unsigned max_blocks_yz = 65535;
constexpr size_t max_shared_bytes = 227 * 1024;  // of one block, on sm_90
constexpr size_t guard_bytes = 64;               // behind each shared variable

thread_local Order order = Order::ascending;
thread_local uint64_t order_seed = 1;

enum class Doing : uint8_t { ready, waits_for_block, waits_for_warp, done };

struct Thread {
  Fiber fiber;
  Doing doing = Doing::ready;
  Site where;         // of the barrier or collective it waits at
  unsigned mask = 0;  // and for a collective: with whom, bringing what, receiving where
  const void* value = nullptr;
  void* all = nullptr;
  size_t size = 0;
};

/// Shared memory with something behind it that nobody may change.
struct SharedVariable {
  const void* key;
  size_t bytes;
  std::unique_ptr<std::byte[]> memory;
};

/// The threads of a block, which all blocks of all launches use again.
std::span<Thread> some_threads(size_t count) {
  static thread_local const auto all = std::make_unique<Thread[]>(max_threads);
  return {all.get(), count};
}

struct Launch {
  const char* kernel;
  const std::function<void()>* body;
  std::span<Thread> threads;
  std::vector<SharedVariable> shared;
  size_t dynamic_bytes = 0;
  size_t running = 0;
  std::exception_ptr failure;
  std::mt19937_64 random;
  // What ThreadSanitizer takes a block's ends and a barrier for; of the barrier's two take turns.
  char begin = 0, end = 0, barrier_turn[2] = {};
  unsigned barriers = 0;

  size_t warps() const { return (threads.size() + warp_size - 1) / warp_size; }
};

thread_local Launch* current = nullptr;

std::string at(const Site& where) { return fmt::format("{}:{}", where.file, where.line); }

bool same_line(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

[[noreturn]] void fail(const std::string& what) {
  throw KernelError(fmt::format("{}: block ({}, {}, {}): {}", current->kernel, blockIdx.x, blockIdx.y, blockIdx.z, what));
}

dim3 index_of(size_t thread) {
  const auto t = unsigned(thread);
  return {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

void thread_main() {
  Launch& launch = *current;
  __tsan_acquire(&launch.begin);
  try {
    (*launch.body)();
  } catch (...) {
    launch.failure = std::current_exception();
  }
  __tsan_release(&launch.end);
  Thread& thread = launch.threads[launch.running];
  thread.doing = Doing::done;
  thread.fiber.finish();
}

void resume(Launch& launch, size_t thread) {
  launch.running = thread;
  threadIdx = index_of(thread);
  launch.threads[thread].fiber.resume();
  if (!launch.failure) return;
  __tsan_acquire(&launch.end);
  std::rethrow_exception(std::exchange(launch.failure, nullptr));
}

void wait(Thread& thread, Doing what, Site where) {
  thread.doing = what;
  thread.where = where;
  thread.fiber.suspend();
}

/// Opens the block's barrier if every living thread waits there; says whether it did.
bool open_block_barrier(Launch& launch) {
  const Thread* first = nullptr;
  for (const Thread& thread : launch.threads) {
    if (thread.doing == Doing::done) continue;
    if (thread.doing != Doing::waits_for_block) return false;
    if (!first) first = &thread;
    if (!same_line(thread.where, first->where))
      fail(fmt::format("threads that must meet wait at {} and at {}", at(first->where), at(thread.where)));
  }
  for (Thread& thread : launch.threads)
    if (thread.doing == Doing::waits_for_block) thread.doing = Doing::ready;
  ++launch.barriers;
  return first != nullptr;
}

/// Opens the collective that `one`, a thread of `warp`, waits for, if all of its lanes have arrived; says whether it did.
bool open_collective(std::span<Thread> warp, Thread& one) {
  for (unsigned l = 0; l < warp_size; ++l) {
    if (!(one.mask >> l & 1)) continue;
    if (l >= warp.size()) fail(fmt::format("{} waits for lane {}, which the warp does not have", at(one.where), l));
    const Thread& other = warp[l];
    if (other.doing == Doing::done) fail(fmt::format("{} waits for lane {}, which has left the kernel", at(one.where), l));
    if (other.doing != Doing::waits_for_warp) return false;
    if (!same_line(other.where, one.where) || other.mask != one.mask)
      fail(fmt::format("lanes that must meet wait at {} (mask {:#x}) and at {} (mask {:#x})", at(one.where), one.mask,
                       at(other.where), other.mask));
  }
  std::array<std::byte, warp_size * 16> all;
  const size_t size = one.size;
  const unsigned mask = one.mask;
  for (unsigned l = 0; l < warp_size; ++l)
    if (mask >> l & 1) std::memcpy(all.data() + l * size, warp[l].value, size);
  for (unsigned l = 0; l < warp_size; ++l)
    if (mask >> l & 1) std::memcpy(warp[l].all, all.data(), warp_size * size), warp[l].doing = Doing::ready;
  return true;
}

bool open_collectives(std::span<Thread> warp) {
  bool opened = false;
  for (Thread& thread : warp)
    if (thread.doing == Doing::waits_for_warp) opened |= open_collective(warp, thread);
  return opened;
}

/// Calls body(i) for 0, 1, … n−1 in the order that was asked for.
template <class Body>
void in_order(size_t n, std::mt19937_64& random, Body&& body) {
  if (order == Order::ascending)
    for (size_t i = 0; i < n; ++i) body(i);
  else if (order == Order::descending)
    for (size_t i = n; i-- > 0;) body(i);
  else {
    std::vector<size_t> sequence(n);
    std::iota(sequence.begin(), sequence.end(), size_t{0});
    std::ranges::shuffle(sequence, random);
    for (size_t i : sequence) body(i);
  }
}

/// Runs a warp until every lane is done or waits for the block; says whether any lane moved.
bool run_warp(Launch& launch, size_t number) {
  const size_t begin = number * warp_size, lanes = std::min<size_t>(warp_size, launch.threads.size() - begin);
  const std::span<Thread> warp(launch.threads.data() + begin, lanes);
  bool moved = false;
  do {
    in_order(lanes, launch.random, [&](size_t l) {
      if (warp[l].doing == Doing::ready) resume(launch, begin + l), moved = true;
    });
  } while (open_collectives(warp));
  return moved;
}

void unguard([[maybe_unused]] SharedVariable& variable) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(variable.memory.get() + variable.bytes, guard_bytes);
#endif
}

void refresh(SharedVariable& variable) {
  unguard(variable);
  std::memset(variable.memory.get(), 0xff, variable.bytes);
  std::memset(variable.memory.get() + variable.bytes, 0xa5, guard_bytes);
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(variable.memory.get() + variable.bytes, guard_bytes);
#endif
}

void* new_variable(Launch& launch, const void* key, size_t bytes) {
  SharedVariable& variable =
      launch.shared.emplace_back(SharedVariable{key, bytes, std::make_unique_for_overwrite<std::byte[]>(bytes + guard_bytes)});
  refresh(variable);
  __tsan_release(variable.memory.get());  // whoever finds it finds it made
  return variable.memory.get();
}

void expect_guards(Launch& launch) {
  for (SharedVariable& variable : launch.shared) {
    unguard(variable);
    const std::byte* const guard = variable.memory.get() + variable.bytes;
    if (std::any_of(guard, guard + guard_bytes, [](std::byte b) { return b != std::byte{0xa5}; }))
      fail(fmt::format("wrote behind its {} bytes of shared memory", variable.bytes));
  }
}

void run_block(Launch& launch) {
  for (SharedVariable& variable : launch.shared) refresh(variable);
  __tsan_release(&launch.begin);
  for (Thread& thread : launch.threads) thread.doing = Doing::ready, thread.fiber.prepare(thread_main);
  for (;;) {
    bool moved = false;
    in_order(launch.warps(), launch.random, [&](size_t warp) { moved |= run_warp(launch, warp); });
    moved |= open_block_barrier(launch);
    const auto count = [&](Doing what) { return std::ranges::count(launch.threads, what, &Thread::doing); };
    if (count(Doing::done) == std::ptrdiff_t(launch.threads.size())) break;
    if (moved) continue;
    const auto waiting = std::ranges::find_if(launch.threads, [](const Thread& t) { return t.doing != Doing::done; });
    fail(fmt::format("stuck: {} threads wait for the block, {} for their warp, {} have left; one waits at {}",
                     count(Doing::waits_for_block), count(Doing::waits_for_warp), count(Doing::done), at(waiting->where)));
  }
  __tsan_acquire(&launch.end);  // blocks are in order: they share what stands for their shared memory
  expect_guards(launch);
}

void check(const char* kernel, dim3 blocks, dim3 threads, size_t shared_bytes) {
  const uint64_t count = uint64_t(threads.x) * threads.y * threads.z;
  if (count == 0 || count > max_threads)
    throw KernelError(fmt::format("{}: {} threads a block, at most {}", kernel, count, max_threads));
  if (blocks.y > max_blocks_yz || blocks.z > max_blocks_yz || blocks.x > 0x7fffffffu)
    throw KernelError(fmt::format("{}: a grid of ({}, {}, {}) blocks is too large", kernel, blocks.x, blocks.y, blocks.z));
  if (shared_bytes > max_shared_bytes)
    throw KernelError(fmt::format("{}: {} bytes of shared memory, at most {}", kernel, shared_bytes, max_shared_bytes));
}

/// Makes `launch` the current one, and unguards its shared memory however it ends. What the scheduler itself reads and writes of
/// its threads' memory is no race of theirs.
class CurrentLaunch {
 public:
  explicit CurrentLaunch(Launch& launch) : launch_(launch), outer_(std::exchange(current, &launch)) {
#if defined(KAPPA_TSAN_FIBERS)
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
  }
  ~CurrentLaunch() {
    __tsan_acquire(&launch_.end);
#if defined(KAPPA_TSAN_FIBERS)
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__), AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#endif
    for (SharedVariable& variable : launch_.shared) unguard(variable);
    current = outer_;
  }

 private:
  Launch& launch_;
  Launch* outer_;
};

}  // namespace

OrderScope::OrderScope(Order chosen, uint64_t seed)
    : outer_(std::exchange(order, chosen)), outer_seed_(std::exchange(order_seed, seed)) {}
OrderScope::~OrderScope() { order = outer_, order_seed = outer_seed_; }

void block_barrier(Site where) {
  Launch& launch = *current;
  char* const turn = &launch.barrier_turn[launch.barriers % 2];
  __tsan_release(turn);
  wait(launch.threads[launch.running], Doing::waits_for_block, where);
  __tsan_acquire(turn);
}

void meet(unsigned mask, const void* value, size_t size, void* all, Site where) {
  Thread& thread = current->threads[current->running];
  if (!(mask >> lane() & 1))
    fail(fmt::format("lane {} calls {} with a mask that is without it ({:#x})", lane(), at(where), mask));
  thread.mask = mask, thread.value = value, thread.size = size, thread.all = all;
  Thread* const warp = &thread - lane();  // a collective orders memory among its lanes
  __tsan_release(warp);
  wait(thread, Doing::waits_for_warp, where);
  __tsan_acquire(warp);
  static_cast<void>(warp);
}

unsigned lane() { return unsigned(current->running % warp_size); }

void absent_lane(unsigned lane, unsigned mask) {
  fail(fmt::format("a lane reads lane {}, which is not in the mask {:#x}", lane, mask));
}

void misaligned(const void* address, size_t bytes) {
  fail(fmt::format("moves {} bytes at once at {}, which is no multiple of that", bytes, address));
}

void* shared_variable(const void* key, size_t bytes) {
  for (const SharedVariable& variable : current->shared)
    if (variable.key == key) {
      __tsan_acquire(variable.memory.get());
      return variable.memory.get();
    }
  return new_variable(*current, key, bytes);
}

void* dynamic_shared_memory(size_t bytes) {
  if (bytes > current->dynamic_bytes)
    fail(fmt::format("uses {} bytes of dynamic shared memory, launched with {}", bytes, current->dynamic_bytes));
  return shared_variable(nullptr, current->dynamic_bytes);
}

void run_grid(const char* kernel, dim3 blocks, dim3 threads, size_t shared_bytes, const std::function<void()>& thread_body) {
  check(kernel, blocks, threads, shared_bytes);
  gridDim = blocks;
  blockDim = threads;
  Launch launch{.kernel = kernel,
                .body = &thread_body,
                .threads = some_threads(size_t(threads.x) * threads.y * threads.z),
                .dynamic_bytes = shared_bytes,
                .random = std::mt19937_64(order_seed)};
  const CurrentLaunch scope(launch);
  if (shared_bytes > 0) new_variable(launch, nullptr, shared_bytes);
  in_order(size_t(blocks.x) * blocks.y * blocks.z, launch.random, [&](size_t index) {
    const size_t plane = size_t(blocks.x) * blocks.y;
    blockIdx = {unsigned(index % blocks.x), unsigned(index % plane / blocks.x), unsigned(index / plane)};
    run_block(launch);
  });
}

}  // namespace kappa::host_grid
