#include "engine/device/thread_pool.h"

#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace kappa {
namespace {

struct Job {
  int64_t tiles;
  void* body;
  void (*call)(void* body, int64_t tile, int worker);
};

thread_local int current_worker = -1;  // −1 outside of a parallel_for

/// Workers sleep on a counter of jobs. A job is over when its tiles are done; whoever wakes up too late to get one is not waited
/// for, so that on a busy machine no job lasts until the scheduler has let every thread run.
class Pool {
 public:
  explicit Pool(int count) {
    for (int w = 1; w < count; ++w) workers_.emplace_back([this, w] { work(w); });
  }
  ~Pool() {
    quit_ = true;
    jobs_.fetch_add(1);
    jobs_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;

  int size() const { return int(workers_.size()) + 1; }

  void run(const Job& job) {
    if (job.tiles > std::numeric_limits<int>::max()) throw std::logic_error("more than 2^31 - 1 tiles");
    job_ = job;
    failed_ = false;
    undone_.store(int(job.tiles));
    unclaimed_.store(int(job.tiles), std::memory_order_release);
    if (!workers_.empty() && job.tiles > 1) {
      jobs_.fetch_add(1);
      jobs_.notify_all();
    }
    take_tiles(0);
    for (int left = undone_.load(); left != 0;) left = await_change(undone_, left);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  /// Claims tiles until none is left. What job_ says may be read by who holds a tile of it: until that tile is done, there is no
  /// other job.
  void take_tiles(int worker) {
    current_worker = worker;
    for (int left = unclaimed_.load(std::memory_order_relaxed); left > 0;) {
      if (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acquire)) continue;
      try {
        if (!failed_) job_.call(job_.body, job_.tiles - left, worker);
      } catch (...) {
        const std::lock_guard lock(failure_mutex_);
        if (!failure_) failure_ = std::current_exception();
        failed_ = true;
      }
      if (undone_.fetch_sub(1) == 1) undone_.notify_one();
      left = unclaimed_.load(std::memory_order_relaxed);
    }
    current_worker = -1;
  }

  /// The value, once it is not `old`. Looks for a while before it sleeps: the next product is often microseconds away.
  static int await_change(const std::atomic<int>& value, int old) {
    for (int i = 0; i < 4000; ++i) {
      if (const int now = value.load(); now != old) return now;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    value.wait(old);
    return value.load();
  }

  void work(int worker) {
    for (int seen = 0;;) {
      seen = await_change(jobs_, seen);
      if (quit_) return;
      take_tiles(worker);
    }
  }

  std::vector<std::thread> workers_;
  std::atomic<int> jobs_{0}, unclaimed_{0}, undone_{0};
  std::atomic<bool> quit_{false}, failed_{false};
  Job job_{};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> instance;
  if (!instance) instance = std::make_unique<Pool>(int(std::max(1u, std::thread::hardware_concurrency())));
  return instance;
}

}  // namespace

void set_threads(int count) {
  const int wanted = count > 0 ? count : int(std::max(1u, std::thread::hardware_concurrency()));
  if (pool()->size() != wanted) pool() = std::make_unique<Pool>(wanted);
}

int threads() { return pool()->size(); }

void detail::run_tiles(int64_t tiles, void* body, void (*call)(void*, int64_t, int)) {
  if (tiles <= 0) return;
  if (current_worker >= 0) {
    for (int64_t tile = 0; tile < tiles; ++tile) call(body, tile, current_worker);
    return;
  }
  pool()->run({tiles, body, call});
}

}  // namespace kappa
