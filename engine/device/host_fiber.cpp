#include "engine/device/host_fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(KAPPA_TSAN_FIBERS)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)

// void kappa_switch_stack(void** save, void* load): keeps what a function call must keep on the stack, leaves the stack's top in
// *save, and goes on where the stack at `load` was left.
extern "C" void kappa_switch_stack(void** save, void* load);
asm(R"(
  .pushsection .text
  .p2align 4
  .type kappa_switch_stack, @function
kappa_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size kappa_switch_stack, .-kappa_switch_stack
  .popsection
)");

namespace {

using Context = void*;  // the top of a stack that is not running

/// A stack on which kappa_switch_stack finds six registers and, to return to, `entry`.
Context fresh_context(std::byte* stack, size_t bytes, void (*entry)()) {
  auto* top = reinterpret_cast<uint64_t*>(stack + bytes);
  *--top = 0;  // where entry would return to; also aligns its frame
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
  return top;
}

void switch_context(Context& from, Context& to) { kappa_switch_stack(&from, to); }

}  // namespace

#else

#include <ucontext.h>

namespace {

using Context = ucontext_t;

Context fresh_context(std::byte* stack, size_t bytes, void (*entry)()) {
  Context context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
  return context;
}

void switch_context(Context& from, Context& to) { swapcontext(&from, &to); }

}  // namespace

#endif

namespace kappa {

static constexpr size_t stack_bytes = 64 * 1024;

struct Fiber::State {
  std::byte* stack = nullptr;  // above a page that may not be touched; made when it is first needed
  Context own, resumer;
  void (*entry)() = nullptr;
  bool fresh = true;
#if defined(__SANITIZE_ADDRESS__)
  void* own_fake = nullptr;
  void* resumer_fake = nullptr;
  const void* resumer_stack = nullptr;
  size_t resumer_bytes = 0;
#endif
#if defined(KAPPA_TSAN_FIBERS)
  void* own_tsan = nullptr;
  void* resumer_tsan = nullptr;
#endif

  /// The first thing that is done on the fiber's stack after a switch to it.
  void arrive() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(own_fake, &resumer_stack, &resumer_bytes);
#endif
  }

  void leave([[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake, resumer_stack, resumer_bytes);
#endif
#if defined(KAPPA_TSAN_FIBERS)
    __tsan_switch_to_fiber(resumer_tsan, __tsan_switch_to_fiber_no_sync);
#endif
    switch_context(own, resumer);
    arrive();
  }

  static void begin();
};

static thread_local void* starting = nullptr;  // the State whose begin() is about to run

void Fiber::State::begin() {
  auto* const self = static_cast<State*>(starting);
  self->arrive();
  self->entry();
  std::abort();
}

static size_t page_bytes() { return size_t(sysconf(_SC_PAGESIZE)); }

static std::byte* new_stack() {
  void* const memory = mmap(nullptr, page_bytes() + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page_bytes(), PROT_NONE);
  return static_cast<std::byte*>(memory) + page_bytes();
}

Fiber::Fiber() = default;

Fiber::~Fiber() {
  if (!state_) return;
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(state_->stack, stack_bytes);
#endif
#if defined(KAPPA_TSAN_FIBERS)
  if (state_->own_tsan) __tsan_destroy_fiber(state_->own_tsan);
#endif
  munmap(state_->stack - page_bytes(), page_bytes() + stack_bytes);
}

void Fiber::prepare(void (*entry)()) {
  if (!state_) {
    state_ = std::make_unique<State>();
    state_->stack = new_stack();
  }
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(state_->stack, stack_bytes);  // frames that were abandoned
  state_->own_fake = nullptr;
#endif
#if defined(KAPPA_TSAN_FIBERS)
  if (state_->own_tsan) __tsan_destroy_fiber(state_->own_tsan);
  state_->own_tsan = __tsan_create_fiber(0);
#endif
  state_->entry = entry;
  state_->fresh = true;
  state_->own = fresh_context(state_->stack, stack_bytes, State::begin);
}

void Fiber::resume() {
  State& s = *state_;
  if (s.fresh) starting = &s, s.fresh = false;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&s.resumer_fake, s.stack, stack_bytes);
#endif
#if defined(KAPPA_TSAN_FIBERS)
  s.resumer_tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(s.own_tsan, __tsan_switch_to_fiber_no_sync);
#endif
  switch_context(s.resumer, s.own);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(s.resumer_fake, nullptr, nullptr);
#endif
}

void Fiber::suspend() { state_->leave(false); }

void Fiber::finish() {
  state_->leave(true);
  std::abort();
}

}  // namespace kappa
