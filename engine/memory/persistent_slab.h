#pragma once
// Where parameters, their gradients and the optimizer's state live: one zeroed block of an exact size, cut up in order and never
// returned piece by piece. A whole group (all gradients, say) is contiguous, so zeroing or reducing it is one operation.

#include "engine/memory/step_slab.h"

namespace kappa {

class PersistentSlab {
 public:
  /// One zeroed block of `bytes`. Throws OutOfMemory if there is no such memory.
  explicit PersistentSlab(int64_t bytes, Device device = Device::cpu);

  /// The next `bytes` of it, aligned. The memory lives as long as any piece of it.
  Memory take(int64_t bytes);
  /// What `take(bytes)` uses up.
  static int64_t footprint(int64_t bytes) {
    return (bytes + StepSlab::alignment - 1) / StepSlab::alignment * StepSlab::alignment;
  }

  std::byte* data() const { return memory_.get(); }
  int64_t size() const { return size_; }
  int64_t used() const { return used_; }

 private:
  Memory memory_;
  int64_t size_, used_ = 0;
};

}  // namespace kappa
