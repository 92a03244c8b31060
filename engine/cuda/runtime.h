#pragma once
// The GPU as the rest of the engine sees it: one device, one stream, plain memory, copies, a stopwatch. No CUDA headers here.
//
// The program needs no driver, no GPU and no CUDA library to start: the runtime is linked statically, and the first call that
// needs the GPU looks for it. What is missing then is one line, thrown as InputError. In a build without CUDA every call throws
// that (none.cpp).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/queue.h"

namespace kappa::cuda {

/// Whether this program was built with CUDA.
bool built();

/// The queue that all work is put on. The first call opens the device.
CudaQueue queue();
/// "NVIDIA H100 80GB HBM3"
std::string device_name();

/// Waits for the queue. A kernel that failed is reported here at the latest, with the name of the last one that was launched.
void synchronize();

/// `bytes` of device memory, unspecified; throws OutOfMemory that names `what` it was wanted for.
std::byte* allocate(int64_t bytes, std::string_view what);
void release(std::byte* memory);
/// Device memory that is still free.
int64_t free_bytes();

enum class Copy { to_device, to_host, on_device };
/// In the order of the queue; a copy to or from the host is finished when this returns.
void copy(Copy kind, void* to, const void* from, int64_t bytes);
/// Zeroes, in the order of the queue.
void clear(void* memory, int64_t bytes);

/// Time between two points of the queue.
class Stopwatch {
 public:
  Stopwatch();
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  void start();
  /// Waits for everything since start(); seconds.
  double stop();

 private:
  [[maybe_unused]] void *begin_, *end_;  // events
};

/// Points in the queue's order; the first numbers are taken again after forget_marks(). seconds_between waits for both.
int64_t mark();
double seconds_between(int64_t from, int64_t to);
void forget_marks();

/// What keeps a program of CUDA `toolkit` (13000 for 13.0) from using the GPU, in one line, or nothing: `driver` is the highest
/// version that the driver knows, 0 if there is none; `major`.`minor` is the GPU's compute capability, if there is a GPU.
struct Facts {
  int toolkit, driver;
  int devices;
  std::string name = {};
  int major = 0, minor = 0;
};
std::string obstacle(const Facts& facts);

}  // namespace kappa::cuda
