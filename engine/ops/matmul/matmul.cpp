#include "engine/ops/matmul/matmul.h"

#include "engine/autograd/tape.h"
#include "engine/device/grid_gemm.h"
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

Tensor some_experts_matmul(const Tensor& x, const Tensor& weight, const Tensor& experts) {
  static constexpr const char* op = "some_experts_matmul";
  require(weight.shape().rank() == 3 && x.shape().rank() == 3 && x.dim(2) == weight.dim(1),
          "{}: x must be [experts, slots, in] for a weight [E, in, out], found {} and {}", op, x.shape(), weight.shape());
  expect(op, "weight", weight, weight.shape(), x.dtype(), x.device());
  expect(op, "experts", experts, {x.dim(0)}, DType::i32, x.device());
  require(x.device() == Device::cpu, "{} has no kernels for --device {} yet; --device cpu has them all", op, name_of(x.device()));
  const int32_t* const numbers = experts.data<int32_t>();
  for (int64_t i = 0; i < experts.size(); ++i)
    require(numbers[i] >= 0 && numbers[i] < weight.dim(0), "{}: experts must be in 0..{}, found {}", op, weight.dim(0) - 1,
            numbers[i]);
  const GemmShape shape{.m = x.dim(1), .n = weight.dim(2), .k = weight.dim(1), .batch = x.dim(0), .b_of = numbers};
  const Tensor y = Tensor::empty({shape.batch, shape.m, shape.n}, x.dtype(), x.device());
  dispatch(op, x.dtype(), x.device(),
           [&]<class T>(T, CpuQueue queue) { gemm(queue, shape, x.data<T>(), weight.data<T>(), GradOut<T>{y.data<T>()}); });
  return y;
}

}  // namespace kappa
