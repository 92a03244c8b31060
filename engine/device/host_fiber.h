#pragma once
// A thread of execution with a stack of its own that runs only while it is resumed, on the thread that resumes it. What the
// host's model of a CUDA block is made of: a switch costs a few nanoseconds, not a call of the system.
//
// The sanitizers are told of every switch. To ThreadSanitizer a switch orders nothing: what orders two fibers has to be said
// (host_grid.cpp, which it must not watch itself: KAPPA_TSAN_FIBERS), so that it finds races between the threads of a block
// although they never run at one time.

#include <cstddef>
#include <memory>

namespace kappa {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() begins `entry` anew; whatever it was doing is abandoned, without destructors. `entry` must not return or
  /// throw: it ends by calling finish().
  void prepare(void (*entry)());
  /// Runs it until it suspends or finishes.
  void resume();
  /// From within: back to whoever resumed it.
  void suspend();
  [[noreturn]] void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kappa
