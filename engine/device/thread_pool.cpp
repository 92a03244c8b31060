#include "engine/device/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kappa {
namespace {

struct Job {
  int64_t tiles = 0;
  void* body = nullptr;
  void (*call)(void*, int64_t, int) = nullptr;
  std::atomic<int64_t> next{0};
};

thread_local int current_worker = -1;  // −1 outside of a parallel_for

/// Workers sleep on a counter of jobs. A job is over when every worker has come back from it, so that its frame may be left.
class Pool {
 public:
  explicit Pool(int count) {
    for (int w = 1; w < count; ++w) workers_.emplace_back([this, w] { work(w); });
  }
  ~Pool() {
    quit_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;

  int size() const { return int(workers_.size()) + 1; }

  void run(Job& job) {
    if (workers_.empty() || job.tiles == 1) {
      take_tiles(job, 0);
    } else {
      job_ = &job;
      busy_.store(int(workers_.size()));
      generation_.fetch_add(1);
      generation_.notify_all();
      take_tiles(job, 0);
      for (int left = await_change(busy_, -1); left != 0; left = await_change(busy_, left)) {
      }
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void take_tiles(Job& job, int worker) {
    current_worker = worker;
    try {
      for (int64_t tile; (tile = job.next.fetch_add(1, std::memory_order_relaxed)) < job.tiles;) job.call(job.body, tile, worker);
    } catch (...) {
      job.next = job.tiles;
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
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
      seen = await_change(generation_, seen);
      if (quit_) return;
      take_tiles(*job_, worker);
      if (busy_.fetch_sub(1) == 1) busy_.notify_all();
    }
  }

  std::vector<std::thread> workers_;
  std::atomic<int> generation_{0}, busy_{0};
  std::atomic<bool> quit_{false};
  Job* job_ = nullptr;
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
  Job job;
  job.tiles = tiles, job.body = body, job.call = call;
  pool()->run(job);
}

}  // namespace kappa
