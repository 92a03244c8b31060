#pragma once
// From a tensor to the code for its element type and its device: the only place where run-time facts become compile-time ones.

#include <string_view>
#include <type_traits>

#include "engine/core/profile.h"
#include "engine/cuda/runtime.h"
#include "engine/tensor/tensor.h"

namespace kappa {

namespace detail {

/// Calls `call(queue)` with the queue of `device` if the kernels that `Body` calls are there. That is known when this is
/// compiled: a body that takes `auto queue` has kernels for every device, one that takes a CpuQueue for the CPU alone.
template <class Body, class Call>
void on_queue(std::string_view op, Device device, Call&& call) {
  const OpScope scope(op);
  if (device == Device::cpu) return call(CpuQueue{});
  if constexpr (std::is_invocable_v<Body&, EmulatedQueue>) {
    if (device == Device::emulated) return call(EmulatedQueue{});
    const CudaQueue queue = cuda::queue();  // throws in a build without CUDA
    static_cast<void>(queue);
#ifdef KAPPA_WITH_CUDA
    return call(queue);
#endif
  } else {
    throw InputError(fmt::format("{} has no kernels for --device {} yet; --device cpu has them all", op, name_of(device)));
  }
}

/// `body` with its first argument, the type, bound to T.
template <class T, class Body>
struct Typed {
  Body& body;
  template <class Queue>
  requires std::is_invocable_v<Body&, T, Queue>
  void operator()(Queue queue) { body(T{}, queue); }
};

}  // namespace detail

/// Calls `body(T{}, queue)` with the C++ type that `dtype` names and the queue of `device`. Throws InputError that names `op` if
/// it has no kernels there: `body` says which devices it has kernels for by what it takes as `queue`.
template <class Body>
void dispatch(std::string_view op, DType dtype, Device device, Body&& body) {
  using B = std::remove_reference_t<Body>;
  const auto with = [&]<class T>(T) {
    using Call = detail::Typed<T, B>;
    detail::on_queue<Call>(op, device, Call{body});
  };
  switch (dtype) {
    case DType::f64:
      return with(double{});
    case DType::f32:
      return with(float{});
    case DType::bf16:
      return with(bfloat16{});
    case DType::i32:
      break;
  }
  throw InputError(fmt::format("{}: expected floating-point values, found int32", op));
}

/// The same for a tensor that is wide whatever the model computes in: `body(W{}, queue)` with W double or float.
template <class Body>
void dispatch_wide(std::string_view op, const Tensor& x, Body&& body) {
  using B = std::remove_reference_t<Body>;
  require(x.dtype() == DType::f32 || x.dtype() == DType::f64, "{}: expected a wide tensor, found {}", op, name_of(x.dtype()));
  const auto with = [&]<class W>(W) {
    using Call = detail::Typed<W, B>;
    detail::on_queue<Call>(op, x.device(), Call{body});
  };
  x.dtype() == DType::f64 ? with(double{}) : with(float{});
}

/// For kernels that see integers alone: `body(queue)`.
template <class Body>
void dispatch_integers(std::string_view op, Device device, Body&& body) {
  detail::on_queue<std::remove_reference_t<Body>>(op, device, body);
}

/// The shape, type and device that an argument must have; names op and argument where it has another.
inline void expect(std::string_view op, std::string_view argument, const Tensor& x, Shape shape, DType dtype, Device device) {
  require(x.shape() == shape, "{}: {} must be {}, found {}", op, argument, shape, x.shape());
  require(x.dtype() == dtype, "{}: {} must be {}, found {}", op, argument, name_of(dtype), name_of(x.dtype()));
  require(x.device() == device, "{}: {} must be on {}, found on {}", op, argument, name_of(device), name_of(x.device()));
}

}  // namespace kappa
