#include "engine/memory/step_slab.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "engine/core/error.h"
#include "engine/core/profile.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace kappa {

StepSlab::StepSlab(int64_t capacity) : capacity_(capacity / alignment * alignment) {
  void* base = mmap(nullptr, size_t(capacity_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw RunError(fmt::format("cannot reserve {} MiB of addresses for activations", capacity_ >> 20));
  madvise(base, size_t(capacity_), MADV_HUGEPAGE);
  base_ = static_cast<std::byte*>(base);
  free_[0] = capacity_;
}

StepSlab::~StepSlab() {
  ASAN_UNPOISON_MEMORY_REGION(base_, size_t(peak_));
  munmap(base_, size_t(capacity_));
}

Memory StepSlab::allocate(int64_t bytes) {
  // One alignment unit more than asked for lies unused behind every block: under AddressSanitizer it is a red zone.
  const int64_t size = (std::max<int64_t>(bytes, 0) + alignment - 1) / alignment * alignment + alignment;
  const auto hole = std::ranges::find_if(free_, [&](const auto& entry) { return entry.second >= size; });
  if (hole == free_.end())
    throw RunError(
        fmt::format("out of memory: {} MiB of activations in use, {} MiB more wanted, {} MiB there are; a smaller "
                    "train.device_batch_size or model.sequence_len, or model.activation_checkpointing, needs less",
                    in_use_ >> 20, size >> 20, capacity_ >> 20));
  const auto [offset, room] = *hole;
  free_.erase(hole);
  if (room > size) free_[offset + size] = room - size;
  in_use_ += size;
  peak_ = std::max(peak_, offset + size);
  std::byte* data = base_ + offset;
  ASAN_UNPOISON_MEMORY_REGION(data, size_t(bytes));
  ASAN_POISON_MEMORY_REGION(data + bytes, size_t(size - bytes));
  if (poison_) std::memset(data, 0xff, size_t(bytes));
  if (Profile* profile = Profile::current()) profile->took(data, size);
  return Memory(data, [this, offset = offset, size](std::byte*) { release(offset, size); });
}

void StepSlab::release(int64_t offset, int64_t bytes) {
  if (Profile* profile = Profile::current()) profile->returned(base_ + offset);
  ASAN_POISON_MEMORY_REGION(base_ + offset, size_t(bytes));
  in_use_ -= bytes;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && offset + bytes == next->first) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += bytes;
      return;
    }
  }
  free_[offset] = bytes;
}

StepSlab& host_step_slab() {
  // Never destroyed: tensors with static storage may outlive any order of destruction.
  static StepSlab& slab = *new StepSlab(int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
  return slab;
}

}  // namespace kappa
