#pragma once
// A tensor is a shape and a type over shared, contiguous memory on one device, and perhaps a gradient.

#include <memory>
#include <vector>

#include "engine/core/element.h"
#include "engine/core/profile.h"
#include "engine/core/queue.h"
#include "engine/memory/persistent_slab.h"
#include "engine/tensor/shape.h"

namespace kappa {

/// Memory of the device's step slab.
Memory allocate(int64_t bytes, Device device);

/// One gradient as it grows; shared by all tensors that stand for one value (reshapes, the compute copy of a parameter).
struct Gradient {
  Shape shape;
  DType dtype;  // its own: a parameter's stays wide although the compute copy is bf16
  Device device;
  Memory memory = {};    // an activation's comes with the first contribution
  bool written = false;  // the next contribution adds. Always true of a parameter, whose memory the optimizer zeroes
};
using GradientRef = std::shared_ptr<Gradient>;  // what a closure keeps of a value it needs only the gradient of

class Tensor {
 public:
  Tensor() = default;  // no tensor: an argument that is not given
  /// Uninitialised memory of the step slab.
  static Tensor empty(Shape shape, DType dtype, Device device = Device::cpu);
  /// The same, of zeros.
  static Tensor zeros(Shape shape, DType dtype, Device device = Device::cpu);
  /// An int32 tensor of these values.
  static Tensor integers(std::span<const int32_t> values, Shape shape);
  /// A value in memory that somebody else made (a persistent slab, usually), with a gradient or without.
  static Tensor over(Memory memory, Shape shape, DType dtype, Device device = Device::cpu, GradientRef gradient = nullptr);

  explicit operator bool() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t size() const { return shape_.size(); }
  int64_t bytes() const { return size() * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  /// The elements; null of no tensor. T must be the tensor's type.
  template <class T>
  T* data() const {
    if (memory_ && TypeOf<T>::value != dtype_)
      throw std::logic_error(fmt::format("asked a {} tensor for {} elements", name_of(dtype_), name_of(TypeOf<T>::value)));
    if (Profile* profile = Profile::current()) profile->touch(memory_.get(), bytes());
    return reinterpret_cast<T*>(memory_.get());
  }
  std::byte* raw() const { return memory_.get(); }

  Tensor reshape(Shape shape) const;  // same value: shares the gradient
  /// Rows [begin, begin + count) of the leading axis; of an untracked tensor or of a parameter (whose gradient always adds).
  Tensor slice(int64_t begin, int64_t count) const;
  /// The same value, of which nobody wants the gradient.
  Tensor detach() const;
  /// This value (a compute copy) with the gradient of another.
  Tensor with_gradient_of(const Tensor& master) const;

  Tensor& track();  // once, before it is used
  bool tracked() const { return gradient_ != nullptr; }
  const GradientRef& gradient() const { return gradient_; }
  /// The gradient's elements; null if there is none, or none yet.
  template <class T>
  T* grad() const {
    return tracked() ? reinterpret_cast<T*>(gradient_->memory.get()) : nullptr;
  }

 private:
  Tensor(Shape shape, DType dtype, Device device) : shape_(shape), dtype_(dtype), device_(device) {}
  Shape shape_{0};
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
  Memory memory_;
  GradientRef gradient_;
};

using Tensors = std::vector<Tensor>;

/// Copies elements, from any device to any. Of one shape and type.
void copy(const Tensor& from, const Tensor& to);
/// The value on `device`, without a gradient: itself if it is there, else a copy.
Tensor moved(const Tensor& x, Device device);

}  // namespace kappa
