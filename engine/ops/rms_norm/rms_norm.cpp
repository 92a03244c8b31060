#include "engine/ops/rms_norm/rms_norm.h"

#include "engine/autograd/tape.h"
#include "engine/ops/rms_norm/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "rms_norm";

Tensor rms_norm(const Tensor& x) {
  require(x.shape().rank() >= 1 && x.dim(-1) >= 1, "{}: x must be [..., n] with n >= 1, found {}", op, x.shape());
  const RmsNormExtents n{.rows = x.shape().rows(), .width = x.dim(-1)};
  Tensor y = Tape::output({x}, x.shape(), x.dtype(), x.device());
  const Tensor inverse_rms = Tensor::empty({n.rows}, wide(x.dtype()), x.device());
  dispatch(op, x.dtype(), x.device(),
           [&]<class T>(T, auto queue) { rms_norm_forward(queue, n, x.data<T>(), y.data<T>(), inverse_rms.data<Wide<T>>()); });

  Tape::record(op, {y}, [n, dx = x.gradient(), y = y.detach(), inverse_rms, dy = y.gradient()] {
    dispatch(op, y.dtype(), y.device(), [&]<class T>(T, auto queue) {
      const RmsNormGradients<T> d{
          .y = y.data<T>(), .inverse_rms = inverse_rms.data<Wide<T>>(), .dy = read<T>(dy), .dx = contribute<T>(dx)};
      rms_norm_backward(queue, n, d);
    });
  });
  return y;
}

}  // namespace kappa
