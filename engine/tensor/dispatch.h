#pragma once
// From a tensor to the code for its element type and its device: the only place where run-time facts become compile-time ones.

#include <string_view>

#include "engine/core/profile.h"
#include "engine/tensor/tensor.h"

namespace kappa {

/// Calls `body(T{}, queue)` with the C++ type that `dtype` names and the queue of `device`. `op` is for the error if the family
/// has no kernels there: today all families run on the CPU alone.
template <class Body>
void dispatch(std::string_view op, DType dtype, Device device, Body&& body) {
  require(device == Device::cpu, "{} has no kernels for --device {} yet; --device cpu has them all", op, name_of(device));
  const OpScope scope(op);
  switch (dtype) {
    case DType::f64:
      return body(double{}, CpuQueue{});
    case DType::f32:
      return body(float{}, CpuQueue{});
    case DType::bf16:
      return body(bfloat16{}, CpuQueue{});
    case DType::i32:
      break;
  }
  throw InputError(fmt::format("{}: expected floating-point values, found int32", op));
}

/// The same for a tensor that is wide whatever the model computes in: `body(W{}, queue)` with W double or float.
template <class Body>
void dispatch_wide(std::string_view op, const Tensor& x, Body&& body) {
  require(x.dtype() == wide(x.dtype()), "{}: expected a wide tensor, found {}", op, name_of(x.dtype()));
  dispatch(op, x.dtype(), x.device(), [&]<class T>(T, auto queue) { body(Wide<T>{}, queue); });
}

/// The shape, type and device that an argument must have; names op and argument where it has another.
inline void expect(std::string_view op, std::string_view argument, const Tensor& x, Shape shape, DType dtype, Device device) {
  require(x.shape() == shape, "{}: {} must be {}, found {}", op, argument, shape, x.shape());
  require(x.dtype() == dtype, "{}: {} must be {}, found {}", op, argument, name_of(dtype), name_of(x.dtype()));
  require(x.device() == device, "{}: {} must be on {}, found on {}", op, argument, name_of(device), name_of(x.device()));
}

}  // namespace kappa
