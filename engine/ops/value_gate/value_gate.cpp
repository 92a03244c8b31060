#include "engine/ops/value_gate/value_gate.h"

#include "engine/autograd/tape.h"
#include "engine/ops/value_gate/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "value_gate";

static void check(const ValueGateInputs& in) {
  const Shape &v = in.v.shape(), &x = in.x.shape();
  const DType dtype = in.v.dtype();
  const Device device = in.v.device();
  require(v.rank() == 4, "{}: v must be [batch, tokens, kv heads, head size], found {}", op, v);
  expect(op, "embedding", in.embedding, in.embedding.shape().rank() == 4 ? v : Shape{v[0], v[1], v[2] * v[3]}, dtype, device);
  require(x.rank() == 3 && x[2] >= value_gate_channels,
          "{}: x must be [batch, tokens, channels] with at least {} channels, found {}", op, value_gate_channels, x);
  expect(op, "x", in.x, {v[0], v[1], x[2]}, dtype, device);
  expect(op, "weight", in.weight, {v[2], value_gate_channels}, dtype, device);
}

template <class T>
static ValueGateValues<T> values_of(const ValueGateExtents& n, const ValueGateInputs& in) {
  return {.n = n, .embedding = in.embedding.data<T>(), .x = in.x.data<T>(), .weight = in.weight.data<T>()};
}

Tensor value_gate(const ValueGateInputs& in) {
  check(in);
  const Shape& v = in.v.shape();
  const DType dtype = in.v.dtype();
  const Device device = in.v.device();
  const ValueGateExtents n{.tokens = v[0] * v[1], .heads = v[2], .head_size = v[3], .channels = in.x.dim(2)};
  Tensor y = Tape::output({in.v, in.embedding, in.x, in.weight}, v, dtype, device);
  dispatch(op, dtype, device,
           [&]<class T>(T, CpuQueue queue) { value_gate_forward(queue, values_of<T>(n, in), in.v.data<T>(), y.data<T>()); });

  // Kept for the way back: the inputs' values, but of v only the gradient.
  ValueGateInputs kept = in;
  kept.v = Tensor();
  Tape::record(op, {y}, [n, kept, dtype, device, dv = in.v.gradient(), dy = y.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, CpuQueue queue) {
      const ValueGateGradients<T> gradients{.dy = read<T>(dy),
                                            .v = contribute<T>(dv),
                                            .embedding = contribute<T>(kept.embedding),
                                            .x = contribute<T>(kept.x),
                                            .weight = contribute<Wide<T>>(kept.weight)};
      value_gate_backward(queue, values_of<T>(n, kept), gradients);
    });
  });
  return y;
}

}  // namespace kappa
