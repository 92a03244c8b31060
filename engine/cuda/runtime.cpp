#include "engine/cuda/runtime.h"

#include <cuda_runtime_api.h>

#include <vector>

#include "engine/core/error.h"
#include "engine/cuda/launch.h"

namespace kappa {
namespace {

const char* last_kernel = "none";  // the one that was launched last, for failures that show later

void check(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return;
  throw RunError(fmt::format("{}: {} (the last kernel launched: {})", what, cudaGetErrorString(status), last_kernel));
}

cuda::Facts facts() {
  cuda::Facts f{.toolkit = CUDART_VERSION, .driver = 0, .devices = 0};
  cudaDriverGetVersion(&f.driver);
  if (cudaGetDeviceCount(&f.devices) != cudaSuccess || f.devices == 0) return f.devices = 0, f;
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "the GPU's properties");
  f.name = properties.name, f.major = properties.major, f.minor = properties.minor;
  return f;
}

struct OpenDevice {
  std::string name;
  cudaStream_t stream = nullptr;

  OpenDevice() {
    const cuda::Facts f = facts();
    if (const std::string problem = cuda::obstacle(f); !problem.empty()) throw InputError(problem);
    name = f.name;
    check(cudaSetDevice(0), "cudaSetDevice");
    // Not the legacy stream: work on that cannot be captured as a graph.
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  }
};

const OpenDevice& device() {
  static const OpenDevice& open = *new OpenDevice;  // never closed: memory with static storage may outlive it
  return open;
}

}  // namespace

void check_launch(const char* kernel) {
  last_kernel = kernel;
  if (const cudaError_t status = cudaGetLastError(); status != cudaSuccess)
    throw RunError(fmt::format("{}: {}", kernel, cudaGetErrorString(status)));
}

void allow_shared_memory(const char* kernel, const void* function, size_t bytes) {
  last_kernel = kernel;
  check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)),
        fmt::format("{} bytes of shared memory", bytes));
}

namespace cuda {

bool built() { return true; }
CudaQueue queue() { return {device().stream}; }
std::string device_name() { return device().name; }
void synchronize() { check(cudaStreamSynchronize(device().stream), "the GPU failed"); }

std::byte* allocate(int64_t bytes, std::string_view what) {
  device();
  void* memory = nullptr;
  if (cudaMalloc(&memory, size_t(bytes)) == cudaSuccess) return static_cast<std::byte*>(memory);
  cudaGetLastError();  // forgotten: this one is dealt with
  throw OutOfMemory(
      fmt::format("out of memory on the GPU: {} MiB wanted for {}, {} MiB are free", bytes >> 20, what, free_bytes() >> 20));
}

void release(std::byte* memory) { cudaFree(memory); }

int64_t free_bytes() {
  device();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return int64_t(free);
}

void copy(Copy kind, void* to, const void* from, int64_t bytes) {
  const cudaMemcpyKind direction = kind == Copy::to_device ? cudaMemcpyHostToDevice
                                   : kind == Copy::to_host ? cudaMemcpyDeviceToHost
                                                           : cudaMemcpyDeviceToDevice;
  check(cudaMemcpyAsync(to, from, size_t(bytes), direction, device().stream), "cudaMemcpyAsync");
  if (kind != Copy::on_device) synchronize();
}

void clear(void* memory, int64_t bytes) { check(cudaMemsetAsync(memory, 0, size_t(bytes), device().stream), "cudaMemsetAsync"); }

static cudaEvent_t new_event() {
  device();
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}

/// From the first event to the second, once both have happened.
static double seconds_of(cudaEvent_t from, cudaEvent_t to) {
  check(cudaEventSynchronize(to), "the GPU failed");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
  return 1e-3 * double(milliseconds);
}

static void record(cudaEvent_t event) { check(cudaEventRecord(event, device().stream), "cudaEventRecord"); }

Stopwatch::Stopwatch() : begin_(new_event()), end_(new_event()) {}
Stopwatch::~Stopwatch() {
  cudaEventDestroy(static_cast<cudaEvent_t>(begin_));
  cudaEventDestroy(static_cast<cudaEvent_t>(end_));
}
void Stopwatch::start() { record(static_cast<cudaEvent_t>(begin_)); }
double Stopwatch::stop() {
  record(static_cast<cudaEvent_t>(end_));
  return seconds_of(static_cast<cudaEvent_t>(begin_), static_cast<cudaEvent_t>(end_));
}

struct Marks {
  std::vector<cudaEvent_t> events;  // kept for the next ones
  size_t used = 0;
};
static Marks& marks() {
  static Marks all;
  return all;
}

int64_t mark() {
  Marks& m = marks();
  if (m.used == m.events.size()) m.events.push_back(new_event());
  record(m.events[m.used]);
  return int64_t(m.used++);
}
double seconds_between(int64_t from, int64_t to) { return seconds_of(marks().events[size_t(from)], marks().events[size_t(to)]); }
void forget_marks() { marks().used = 0; }

}  // namespace cuda
}  // namespace kappa
