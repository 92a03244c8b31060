#include "engine/ops/kappa_swiglu/kappa_swiglu.h"

#include "engine/autograd/tape.h"
#include "engine/ops/kappa_swiglu/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static constexpr const char* op = "kappa_swiglu";

static void check(const KappaSwigluInputs& in) {
  const Shape& g = in.gate.shape();
  const DType dtype = in.gate.dtype();
  const Device device = in.gate.device();
  require(g.rank() == 3, "{}: gate must be [experts, slots, units], found {}", op, g);
  expect(op, "up", in.up, g, dtype, device);
  expect(op, "bias", in.bias, {g[0], g[2]}, wide(dtype), device);
  expect(op, "slope_max", in.slope_max, {1}, wide(dtype), device);
  require(bool(in.confidence) == bool(in.scale), "{}: confidence and scale come together, found one alone", op);
  if (!in.scale) return;
  expect(op, "confidence", in.confidence, {g[0], g[1]}, wide(dtype), device);
  expect(op, "scale", in.scale, {g[0], g[2]}, wide(dtype), device);
}

template <class T>
static KappaGateValues<T> values_of(const KappaSwigluInputs& in) {
  return {.n = {.experts = in.gate.dim(0), .slots = in.gate.dim(1), .units = in.gate.dim(2)},
          .gate = in.gate.data<T>(),
          .up = in.up.data<T>(),
          .bias = in.bias.data<Wide<T>>(),
          .slope_max = in.slope_max.data<Wide<T>>(),
          .confidence = in.confidence.data<Wide<T>>(),
          .scale = in.scale.data<Wide<T>>()};
}

Tensor kappa_swiglu(const KappaSwigluInputs& in) {
  check(in);
  const DType dtype = in.gate.dtype();
  const Device device = in.gate.device();
  Tensor h = Tape::output({in.gate, in.up, in.bias, in.confidence, in.scale}, in.gate.shape(), dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) { kappa_swiglu_forward(queue, values_of<T>(in), h.data<T>()); });

  // Kept for the way back: the inputs' values, and of h only its gradient.
  Tape::record(op, {h}, [in, dtype, device, dh = h.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      const KappaGateGradients<T> gradients{.dh = read<T>(dh),
                                            .gate = contribute<T>(in.gate),
                                            .up = contribute<T>(in.up),
                                            .bias = contribute<Wide<T>>(in.bias),
                                            .scale = contribute<Wide<T>>(in.scale),
                                            .confidence = contribute<Wide<T>>(in.confidence)};
      kappa_swiglu_backward(queue, values_of<T>(in), gradients);
    });
  });
  return h;
}

}  // namespace kappa
