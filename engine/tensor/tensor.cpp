#include "engine/tensor/tensor.h"

#include <cstring>

#include "engine/cuda/runtime.h"

namespace kappa {

Memory allocate(int64_t bytes, Device device) { return step_slab(device).allocate(bytes); }

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor t(shape, dtype, device);
  t.memory_ = allocate(t.bytes(), device);
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  device == Device::cuda ? cuda::clear(t.raw(), t.bytes()) : void(std::memset(t.raw(), 0, size_t(t.bytes())));
  return t;
}

Tensor Tensor::integers(std::span<const int32_t> values, Shape shape) {
  require(int64_t(values.size()) == shape.size(), "{} integers do not make a tensor {}", values.size(), shape);
  const Tensor t = empty(shape, DType::i32);
  std::ranges::copy(values, t.data<int32_t>());
  return t;
}

Tensor Tensor::over(Memory memory, Shape shape, DType dtype, Device device, GradientRef gradient) {
  Tensor t(shape, dtype, device);
  t.memory_ = std::move(memory);
  t.gradient_ = std::move(gradient);
  return t;
}

Tensor& Tensor::track() {
  if (tracked()) throw std::logic_error("a tensor is tracked once");
  gradient_ = std::make_shared<Gradient>(Gradient{shape_, dtype_, device_});
  return *this;
}

Tensor Tensor::reshape(Shape shape) const {
  require(shape.size() == size(), "reshape: {} has {} elements, {} has {}", shape_, size(), shape, shape.size());
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

static Memory at(const Memory& memory, int64_t bytes) { return Memory(memory, memory.get() + bytes); }

Tensor Tensor::slice(int64_t begin, int64_t count) const {
  require(shape_.rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= dim(0), "slice: rows {}..{} of {}", begin,
          begin + count, shape_);
  std::array<int64_t, 4> extents{};
  std::ranges::copy(shape_.extents(), extents.begin());
  extents[0] = count;
  Tensor part(Shape(std::span<const int64_t>(extents.data(), size_t(shape_.rank()))), dtype_, device_);
  const int64_t row = dim(0) == 0 ? 0 : size() / dim(0);
  part.memory_ = at(memory_, begin * row * size_of(dtype_));
  if (tracked()) {
    if (!gradient_->written) throw std::logic_error("slice: an activation's gradient cannot be shared in parts");
    part.gradient_ = std::make_shared<Gradient>(
        Gradient{part.shape_, gradient_->dtype, device_, at(gradient_->memory, begin * row * size_of(gradient_->dtype)), true});
  }
  return part;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.gradient_ = nullptr;
  return t;
}

Tensor Tensor::with_gradient_of(const Tensor& master) const {
  Tensor t = *this;
  t.gradient_ = master.gradient_;
  return t;
}

void copy(const Tensor& from, const Tensor& to) {
  require(from.shape() == to.shape() && from.dtype() == to.dtype(), "copy: {} {} does not fit into {} {}", name_of(from.dtype()),
          from.shape(), name_of(to.dtype()), to.shape());
  const bool from_gpu = from.device() == Device::cuda, to_gpu = to.device() == Device::cuda;
  if (from_gpu || to_gpu)
    cuda::copy(!to_gpu    ? cuda::Copy::to_host
               : from_gpu ? cuda::Copy::on_device
                          : cuda::Copy::to_device,
               to.raw(), from.raw(), from.bytes());
  else
    std::memcpy(to.raw(), from.raw(), size_t(from.bytes()));
}

Tensor moved(const Tensor& x, Device device) {
  if (x.device() == device) return x.detach();
  Tensor there = Tensor::empty(x.shape(), x.dtype(), device);
  copy(x, there);
  return there;
}

}  // namespace kappa
