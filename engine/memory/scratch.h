#pragma once
// Memory for n elements until the end of the scope, in the order of a queue: what a kernel needs beside its inputs and outputs.

#include "engine/core/queue.h"
#include "engine/memory/step_slab.h"

namespace kappa {

template <class T>
class Scratch {
 public:
  Scratch(CpuQueue, int64_t n) : Scratch(Device::cpu, n) {}
  Scratch(EmulatedQueue, int64_t n) : Scratch(Device::emulated, n) {}
  Scratch(CudaQueue, int64_t n) : Scratch(Device::cuda, n) {}
  operator T*() const { return reinterpret_cast<T*>(memory_.get()); }

 private:
  Scratch(Device device, int64_t n) : memory_(step_slab(device).allocate(n * int64_t(sizeof(T)))) {}
  Memory memory_;
};

}  // namespace kappa
