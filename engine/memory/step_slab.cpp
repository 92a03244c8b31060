#include "engine/memory/step_slab.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/profile.h"
#include "engine/cuda/runtime.h"
#include "engine/memory/host_memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace kappa {

static constexpr int64_t whole_units(int64_t bytes) { return bytes / StepSlab::alignment * StepSlab::alignment; }

/// So many bytes of addresses, or, where a limit of the process (ulimit -v) does not allow them, as many as leave others the
/// same.
static Memory reserve(int64_t& bytes) {
  const auto attempt = [&] {
    return mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  };
  bytes = whole_units(bytes);
  void* base = attempt();
  constexpr int64_t least = int64_t{1} << 20;
  bool limited = false;
  for (; base == MAP_FAILED && bytes > least; base = attempt()) bytes = whole_units(bytes / 2), limited = true;
  if (limited && base != MAP_FAILED) {
    munmap(base, size_t(bytes));
    bytes = whole_units(bytes / 2);
    base = attempt();
  }
  if (base == MAP_FAILED) throw RunError(fmt::format("cannot reserve {} MiB of addresses for activations", bytes >> 20));
  madvise(base, size_t(bytes), MADV_HUGEPAGE);
  return Memory(static_cast<std::byte*>(base), [bytes = bytes](std::byte* p) { munmap(p, size_t(bytes)); });
}

StepSlab::StepSlab(int64_t capacity) : memory_(reserve(capacity)), base_(memory_.get()), on_host_(true), capacity_(capacity) {
  free_[0] = capacity_;
}

StepSlab::StepSlab(Memory device_memory, int64_t capacity)
    : memory_(std::move(device_memory)), base_(memory_.get()), on_host_(false), capacity_(whole_units(capacity)) {
  free_[0] = capacity_;
}

StepSlab::~StepSlab() {
  if (on_host_) ASAN_UNPOISON_MEMORY_REGION(base_, size_t(peak_));
}

static constexpr std::byte watched_byte{0xa5};

Memory StepSlab::allocate(int64_t bytes) {
  // One alignment unit more than asked for lies unused behind every block: under AddressSanitizer it is a red zone.
  const int64_t size = whole_units(std::max<int64_t>(bytes, 0) + alignment - 1) + alignment;
  const auto hole = std::ranges::find_if(free_, [&](const auto& entry) { return entry.second >= size; });
  if (hole == free_.end())
    throw OutOfMemory(
        fmt::format("out of memory: {} MiB of activations in use, {} MiB more wanted, {} MiB there are{}; fewer rows at "
                    "once (train.device_batch_size), a smaller model.sequence_len, or model.activation_checkpointing needs less",
                    in_use_ >> 20, size >> 20, capacity_ >> 20, largest_holders()));
  const auto [offset, room] = *hole;
  free_.erase(hole);
  if (room > size) free_[offset + size] = room - size;
  in_use_ += size;
  peak_ = std::max(peak_, offset + size);
  std::byte* data = base_ + offset;
  if (on_host_) {
    ASAN_UNPOISON_MEMORY_REGION(data, size_t(size));
    if (poison_) std::fill_n(data, bytes, std::byte{0xff}), std::fill(data + bytes, data + size, watched_byte);
    ASAN_POISON_MEMORY_REGION(data + bytes, size_t(size - bytes));
  }
  taken_[offset] = {.size = size, .bytes = bytes, .op = OpScope::running(), .watched = on_host_ && poison_};
  if (Profile* profile = Profile::current()) profile->took(data, size);
  return Memory(data, [this, offset = offset](std::byte*) { release(offset); });
}

void StepSlab::release(int64_t offset) {
  const auto taken = taken_.find(offset);
  const Block block = taken->second;
  taken_.erase(taken);
  std::byte* const data = base_ + offset;
  if (Profile* profile = Profile::current()) profile->returned(data);
  if (block.watched) {
    ASAN_UNPOISON_MEMORY_REGION(data, size_t(block.size));
    overruns_ += std::any_of(data + block.bytes, data + block.size, [](std::byte b) { return b != watched_byte; });
  }
  if (on_host_) ASAN_POISON_MEMORY_REGION(data, size_t(block.size));
  in_use_ -= block.size;
  int64_t bytes = block.size;
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

/// " (kappa_swiglu 96 MiB, expert_matmul 64 MiB, …)": the three ops that hold most.
std::string StepSlab::largest_holders() const {
  std::map<std::string_view, int64_t> held;
  for (const auto& [offset, block] : taken_) held[block.op] += block.size;
  std::vector<std::pair<int64_t, std::string_view>> sorted;
  for (const auto& [op, bytes] : held)
    if (!op.empty()) sorted.emplace_back(bytes, op);
  std::ranges::sort(sorted, std::greater());
  std::string text;
  for (size_t i = 0; i < sorted.size() && i < 3; ++i)
    text += fmt::format("{}{} {} MiB", i == 0 ? " (" : ", ", sorted[i].second, sorted[i].first >> 20);
  return text.empty() ? text : text + ")";
}

StepSlab& host_step_slab() {
  // Never destroyed: tensors with static storage may outlive any order of destruction.
  static StepSlab& slab = *new StepSlab([] {
    const int64_t available = host_memory().available;
    return available > 0 ? available : int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  }());
  return slab;
}

static int64_t gpu_limit = INT64_MAX;
void limit_gpu_step_slab(int64_t bytes) { gpu_limit = bytes; }

/// All that is free when it is first asked for (parameters and optimizer state are there by then), less what the libraries need.
static StepSlab& new_gpu_step_slab() {
  const int64_t bytes = std::min(gpu_limit, cuda::free_bytes() - (int64_t{512} << 20));
  if (bytes <= 0) throw OutOfMemory("out of memory on the GPU: parameters and optimizer state leave nothing for activations");
  return *new StepSlab(Memory(cuda::allocate(bytes, "activations"), cuda::release), bytes);
}

static StepSlab& gpu_step_slab() {
  static StepSlab& slab = new_gpu_step_slab();
  return slab;
}

StepSlab& step_slab(Device device) { return device == Device::cuda ? gpu_step_slab() : host_step_slab(); }

}  // namespace kappa
