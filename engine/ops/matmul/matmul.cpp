#include "engine/ops/matmul/matmul.h"

#include "engine/autograd/tape.h"
#include "engine/device/gemm.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor linear(const Tensor& x, const Tensor& weight) {
  require(weight.shape().rank() == 2 && x.shape().rank() >= 1 && x.dim(-1) == weight.dim(1),
          "linear: x must be [..., {}] for a weight of {}, found {}", weight.dim(-1), weight.shape(), x.shape());
  expect("linear", "weight", weight, weight.shape(), x.dtype(), x.device());
  const int64_t rows = x.shape().rows(), in = weight.dim(1), out = weight.dim(0);
  const Tensor y = Tape::output({x, weight}, x.shape().with_last(out), x.dtype(), x.device());
  dispatch("linear", x.dtype(), x.device(), [&]<class T>(T, auto queue) {
    gemm(queue, {.m = rows, .n = out, .k = in, .transpose_b = true}, x.data<T>(), weight.data<T>(), GradOut<T>{y.data<T>()});
  });

  Tape::record("linear", {y}, [=, dy = y.gradient()] {
    dispatch("linear", x.dtype(), x.device(), [&]<class T>(T, auto queue) {
      gemm(queue, {.m = rows, .n = in, .k = out}, read<T>(dy), weight.data<T>(), contribute<T>(x));
      gemm(queue, {.m = out, .n = in, .k = rows, .transpose_a = true}, read<T>(dy), x.data<T>(), contribute<Wide<T>>(weight));
    });
  });
  return y;
}

Tensor expert_matmul(const Tensor& x, const Tensor& weight) {
  require(weight.shape().rank() == 3 && x.shape().rank() == 3 && x.dim(0) == weight.dim(0) && x.dim(2) == weight.dim(1),
          "expert_matmul: x must be [E, slots, in] for a weight [E, in, out], found {} and {}", x.shape(), weight.shape());
  expect("expert_matmul", "weight", weight, weight.shape(), x.dtype(), x.device());
  const int64_t experts = x.dim(0), slots = x.dim(1), in = weight.dim(1), out = weight.dim(2);
  const Tensor y = Tape::output({x, weight}, {experts, slots, out}, x.dtype(), x.device());
  dispatch("expert_matmul", x.dtype(), x.device(), [&]<class T>(T, auto queue) {
    gemm(queue, {.m = slots, .n = out, .k = in, .batch = experts}, x.data<T>(), weight.data<T>(), GradOut<T>{y.data<T>()});
  });

  Tape::record("expert_matmul", {y}, [=, dy = y.gradient()] {
    dispatch("expert_matmul", x.dtype(), x.device(), [&]<class T>(T, auto queue) {
      gemm(queue, {.m = slots, .n = in, .k = out, .transpose_b = true, .batch = experts}, read<T>(dy), weight.data<T>(),
           contribute<T>(x));
      gemm(queue, {.m = in, .n = out, .k = slots, .transpose_a = true, .batch = experts}, x.data<T>(), read<T>(dy),
           contribute<Wide<T>>(weight));
    });
  });
  return y;
}

}  // namespace kappa
