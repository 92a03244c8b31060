#pragma once
// Where activations and their gradients live: one reserved range of addresses, from which blocks are taken and to which they
// return within a step. The order of taking and returning is the same in every step (shapes never depend on data), so the first
// step shows how much memory a run needs; after it no page is new.
//
// Not thread-safe: tensors are made and dropped by the thread that drives the step. Kernels' threads only use what they were
// given.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace kappa {

using Memory = std::shared_ptr<std::byte[]>;

class StepSlab {
 public:
  static constexpr int64_t alignment = 256;  // bytes

  /// Reserves `capacity` bytes of addresses; none of them costs memory until it is used. Throws RunError if even that fails.
  explicit StepSlab(int64_t capacity);
  ~StepSlab();
  StepSlab(const StepSlab&) = delete;
  StepSlab& operator=(const StepSlab&) = delete;

  /// The block at the lowest offset that holds `bytes`. It returns to the slab with the last copy of the pointer, and the slab
  /// must outlive it. Its content is unspecified: whatever was there, or NaN patterns while `poison` is on. Throws RunError if
  /// the slab is full.
  Memory allocate(int64_t bytes);

  int64_t in_use() const { return in_use_; }  // bytes
  int64_t peak() const { return peak_; }      // the highest address ever used: what the slab costs
  int64_t capacity() const { return capacity_; }
  void poison(bool on) { poison_ = on; }

 private:
  void release(int64_t offset, int64_t bytes);

  std::byte* base_;
  int64_t capacity_, in_use_ = 0, peak_ = 0;
  bool poison_ = false;
  std::map<int64_t, int64_t> free_;  // offset → bytes; neighbours are always merged
};

/// The host's step slab: as many addresses as the machine has memory.
StepSlab& host_step_slab();

}  // namespace kappa
