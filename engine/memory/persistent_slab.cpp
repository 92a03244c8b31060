#include "engine/memory/persistent_slab.h"

#include <sys/mman.h>

#include "engine/core/error.h"
#include "engine/cuda/runtime.h"

namespace kappa {

static constexpr const char* purpose = "parameters or their state";

static Memory on_host(int64_t bytes) {
  void* base = mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // zeroed by the system
  if (base == MAP_FAILED) throw OutOfMemory(fmt::format("out of memory: {} MiB wanted for {}", bytes >> 20, purpose));
  madvise(base, size_t(bytes), MADV_HUGEPAGE);  // a row of a weight is often as long as a small page, and products read columns
  return Memory(static_cast<std::byte*>(base), [bytes](std::byte* p) { munmap(p, size_t(bytes)); });
}

static Memory on_gpu(int64_t bytes) {
  std::byte* const base = cuda::allocate(bytes, purpose);
  cuda::clear(base, bytes);
  return Memory(base, cuda::release);
}

PersistentSlab::PersistentSlab(int64_t bytes, Device device) : size_(footprint(bytes)) {
  if (size_ > 0) memory_ = device == Device::cuda ? on_gpu(size_) : on_host(size_);
}

Memory PersistentSlab::take(int64_t bytes) {
  const int64_t begin = used_;
  if (begin + footprint(bytes) > size_) throw std::logic_error("a persistent slab was cut into more than it holds");
  used_ += footprint(bytes);
  return Memory(memory_, memory_.get() + begin);
}

}  // namespace kappa
