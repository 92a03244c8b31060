#include "engine/ops/rms_norm/rms_norm.h"

#include "engine/autograd/tape.h"
#include "engine/ops/rms_norm/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "rms_norm";

/// Calls body(In{}, Out{}, queue).
template <class Body>
static void dispatch_types(DType in, DType out, Device device, Body body) {
  if (in == out) return dispatch(op, in, device, [&]<class T>(T type, CpuQueue queue) { body(type, type, queue); });
  const DType narrow = wide(in) == in ? out : in;
  require(narrow == DType::bf16 && wide(in) == wide(out), "{}: expected {} as float32 or bfloat16, found {}", op, name_of(in),
          name_of(out));
  dispatch(op, DType::f32, device, [&]<class T>(T, CpuQueue queue) {
    if constexpr (std::is_same_v<T, float>) {
      if (in == DType::bf16)
        body(bfloat16{}, float{}, queue);
      else
        body(float{}, bfloat16{}, queue);
    }
  });
}

Tensor rms_norm(const Tensor& x, DType out) {
  require(x.shape().rank() >= 1 && x.dim(-1) >= 1, "{}: x must be [..., n] with n >= 1, found {}", op, x.shape());
  const RmsNormExtents n{.rows = x.shape().rows(), .width = x.dim(-1)};
  const Tensor y = Tape::output({x}, x.shape(), out, x.device());
  const Tensor inverse_rms = Tensor::empty({n.rows}, wide(out), x.device());
  dispatch_types(x.dtype(), out, x.device(), [&]<class In, class Out>(In, Out, CpuQueue queue) {
    rms_norm_forward(queue, n, x.data<In>(), y.data<Out>(), inverse_rms.data<Wide<Out>>());
  });

  const Tensor kept = x.dtype() == out ? y.detach() : x.detach();
  Tape::record(op, {y}, [n, kept, out, inverse_rms, dx = x.gradient(), dy = y.gradient()] {
    dispatch_types(kept.dtype(), out, kept.device(), [&]<class In, class Out>(In, Out, CpuQueue queue) {
      const RmsNormGradients<In, Out> d{
          .kept = kept.data<In>(), .inverse_rms = inverse_rms.data<Wide<Out>>(), .dy = read<Out>(dy), .dx = contribute<In>(dx)};
      rms_norm_backward(queue, n, d);
    });
  });
  return y;
}

}  // namespace kappa
