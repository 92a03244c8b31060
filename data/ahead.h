#pragma once
// A function's results, computed ahead of their use by a thread of its own.

#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <variant>

namespace kappa {

/// Lets threads that train have the processor first; they give it up by themselves where they wait for what this thread makes.
inline void give_way() { setpriority(PRIO_PROCESS, id_t(gettid()), 10); }

template <class T>
class Ahead {
 public:
  /// Calls `make` again and again, until `room` results wait; then each time that one is taken.
  Ahead(size_t room, std::function<T()> make) : room_(room), make_(std::move(make)), thread_([this] { work(); }) {}

  /// Waits until a call that is running has returned.
  ~Ahead() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  /// The next result, in the order of the calls. What a call threw is thrown in its place, and in that of all later ones.
  T next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !results_.empty(); });
    if (const auto* failure = std::get_if<std::exception_ptr>(&results_.front())) std::rethrow_exception(*failure);
    T result = std::get<T>(std::move(results_.front()));
    results_.pop_front();
    changed_.notify_all();
    return result;
  }

 private:
  void work() {
    give_way();
    for (bool failed = false; !failed;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || results_.size() < room_; });
      if (stopped_) return;
      lock.unlock();
      std::variant<T, std::exception_ptr> result;
      try {
        result = make_();
      } catch (...) {
        result = std::current_exception();
        failed = true;
      }
      lock.lock();
      results_.push_back(std::move(result));
      changed_.notify_all();
    }
  }

  size_t room_;
  std::function<T()> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::variant<T, std::exception_ptr>> results_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace kappa
