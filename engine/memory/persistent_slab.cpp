#include "engine/memory/persistent_slab.h"

#include <sys/mman.h>

#include "engine/core/error.h"

namespace kappa {

PersistentSlab::PersistentSlab(int64_t bytes) : size_(footprint(bytes)) {
  if (size_ == 0) return;
  void* base = mmap(nullptr, size_t(size_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // zeroed by the system
  if (base == MAP_FAILED) throw RunError(fmt::format("out of memory: {} MiB wanted for parameters or their state", size_ >> 20));
  madvise(base, size_t(size_), MADV_HUGEPAGE);  // a row of a weight is often as long as a small page, and products read columns
  memory_ = Memory(static_cast<std::byte*>(base), [size = size_](std::byte* p) { munmap(p, size_t(size)); });
}

Memory PersistentSlab::take(int64_t bytes) {
  const int64_t begin = used_;
  if (begin + footprint(bytes) > size_) throw std::logic_error("a persistent slab was cut into more than it holds");
  used_ += footprint(bytes);
  return Memory(memory_, memory_.get() + begin);
}

}  // namespace kappa
