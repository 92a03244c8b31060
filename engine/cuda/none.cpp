// What a program that was built without CUDA has instead of runtime.cpp.

#include "engine/core/error.h"
#include "engine/cuda/runtime.h"

namespace kappa::cuda {

[[noreturn]] static void refuse() {
  throw InputError(
      "--device cuda: this program was built without CUDA; configure it with -DKAPPA_CUDA=ON where nvcc is installed");
}

bool built() { return false; }
CudaQueue queue() { refuse(); }
std::string device_name() { refuse(); }
void synchronize() { refuse(); }
std::byte* allocate(int64_t, std::string_view) { refuse(); }
void release(std::byte*) {}
int64_t free_bytes() { refuse(); }
void copy(Copy, void*, const void*, int64_t) { refuse(); }
void clear(void*, int64_t) { refuse(); }
Stopwatch::Stopwatch() { refuse(); }
Stopwatch::~Stopwatch() {}  // where there is CUDA it does something, so it is not trivial
void Stopwatch::start() {}
double Stopwatch::stop() { return 0; }
int64_t mark() { refuse(); }
double seconds_between(int64_t, int64_t) { refuse(); }
void forget_marks() {}

}  // namespace kappa::cuda
