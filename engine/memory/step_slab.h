#pragma once
// Where activations and their gradients live: one reserved range of addresses, from which blocks are taken and to which they
// return within a step. The order of taking and returning is the same in every step (shapes never depend on data), so the first
// step shows how much memory a run needs; after it no page is new.
//
// The memory may be a GPU's: nothing here reads or writes it there.
//
// Not thread-safe: tensors are made and dropped by the thread that drives the step. Kernels' threads only use what they were
// given.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/core/queue.h"

namespace kappa {

using Memory = std::shared_ptr<std::byte[]>;

class StepSlab {
 public:
  static constexpr int64_t alignment = 256;  // bytes

  /// Reserves `capacity` bytes of addresses, fewer where the process may not have so many; none of them costs memory until it is
  /// used. Throws RunError if not even a megabyte can be had.
  explicit StepSlab(int64_t capacity);
  /// The same over memory of a device, all of which is there at once.
  StepSlab(Memory device_memory, int64_t capacity);
  ~StepSlab();
  StepSlab(const StepSlab&) = delete;
  StepSlab& operator=(const StepSlab&) = delete;

  /// The block at the lowest offset that holds `bytes`. It returns to the slab with the last copy of the pointer, and the slab
  /// must outlive it. Its content is unspecified: whatever was there, or NaN patterns while `poison` is on. Throws OutOfMemory,
  /// which names the ops that hold most, if the slab is full.
  Memory allocate(int64_t bytes);

  int64_t in_use() const { return in_use_; }  // bytes
  int64_t peak() const { return peak_; }      // the highest address ever used: what the slab costs
  int64_t capacity() const { return capacity_; }
  /// While it is on, blocks begin full of NaN patterns, and what lies behind them is watched until they return.
  void poison(bool on) { poison_ = on; }
  /// How many blocks came back with something written behind them.
  int64_t overruns() const { return overruns_; }

 private:
  struct Block {
    int64_t size;  // with what lies unused behind it
    int64_t bytes;
    std::string_view op;  // that took it
    bool watched;
  };
  void release(int64_t offset);
  std::string largest_holders() const;

  Memory memory_;
  std::byte* base_;
  bool on_host_;
  int64_t capacity_, in_use_ = 0, peak_ = 0, overruns_ = 0;
  bool poison_ = false;
  std::map<int64_t, int64_t> free_;  // offset → bytes; neighbours are always merged
  std::map<int64_t, Block> taken_;   // by offset
};

/// The host's step slab, where the emulated device's activations live too: what is free when it is first asked for.
StepSlab& host_step_slab();
/// The device's.
StepSlab& step_slab(Device device);
/// Before the first use: how much of a GPU's free memory is taken at most, where others need some too.
void limit_gpu_step_slab(int64_t bytes);

}  // namespace kappa
