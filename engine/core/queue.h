#pragma once
// A queue is where kernels of one device run, in order. Kernels are overloaded on the queue's type, so a call site names the
// operation and the compiler picks the device; a kernel that nobody wrote is a link error, not a run-time surprise.

#include <cstdint>

namespace kappa {

enum class Device : uint8_t { cpu, cuda, emulated };

constexpr const char* name_of(Device device) {
  return device == Device::cpu ? "cpu" : device == Device::cuda ? "cuda" : "emulated";
}

struct CpuQueue {};       // runs at once, on the threads of thread_pool.h
struct EmulatedQueue {};  // runs CUDA kernels at once on the host's model of the grid (engine/device/host_grid.h)
struct CudaQueue {        // runs them on the GPU, in the order of a stream
  void* stream = nullptr;
};

/// The queue that a .cu file's kernels run on: it is compiled once by nvcc and once by the host's compiler, and both are in one
/// program.
#ifdef __CUDACC__
using GridQueue = CudaQueue;
#else
using GridQueue = EmulatedQueue;
#endif

/// For the kernels.h of a family that has a cuda.cu: DECLARE(Queue) is a macro with the declarations, repeated for every queue.
#define KAPPA_ON_EVERY_QUEUE(DECLARE) DECLARE(CpuQueue) DECLARE(EmulatedQueue) DECLARE(CudaQueue)

}  // namespace kappa
