#pragma once
// Memory for n elements until the end of the scope, in the order of a queue: what a kernel needs beside its inputs and outputs.

#include "engine/core/queue.h"
#include "engine/memory/step_slab.h"

namespace kappa {

template <class T>
class Scratch {
 public:
  Scratch(CpuQueue, int64_t n) : memory_(host_step_slab().allocate(n * int64_t(sizeof(T)))) {}
  operator T*() const { return reinterpret_cast<T*>(memory_.get()); }

 private:
  Memory memory_;
};

}  // namespace kappa
