#include "engine/ops/router/router_logits.h"

#include "engine/autograd/tape.h"
#include "engine/ops/router/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static RouterLogits with_two_gradients(const Tensor& main) {
  Tensor z = main.detach();
  if (main.tracked()) z.track();
  return {main, z};
}

RouterLogits router_logits(const Tensor& x, const Tensor& weight, double z_input_grad_scale) {
  static constexpr const char* op = "router_logits";
  const DType dtype = x.dtype();
  const Device device = x.device();
  require(x.shape().rank() == 2, "{}: x must be [tokens, channels], found {}", op, x.shape());
  require(weight.shape().rank() == 2, "{}: weight must be [experts, channels], found {}", op, weight.shape());
  expect(op, "weight", weight, {weight.dim(0), x.dim(1)}, dtype, device);

  const RouterLogitExtents n{.tokens = x.dim(0), .experts = weight.dim(0), .channels = x.dim(1)};
  const RouterLogits logits = with_two_gradients(Tape::output({x, weight}, {n.tokens, n.experts}, wide(dtype), device));
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    router_logits_forward(queue, RouterLogitValues<T>{n, x.data<T>(), weight.data<T>()}, logits.main.data<Wide<T>>());
  });

  Tape::record(op, {logits.main, logits.z}, [=, dmain = logits.main.gradient(), dz = logits.z.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      using W = Wide<T>;
      const RouterLogitGradients<T> gradients{.main = read<W>(dmain),
                                              .z = read<W>(dz),
                                              .z_input_scale = W(z_input_grad_scale),
                                              .x = contribute<T>(x),
                                              .weight = contribute<W>(weight)};
      router_logits_backward(queue, RouterLogitValues<T>{n, x.data<T>(), weight.data<T>()}, gradients);
    });
  });
  return logits;
}

RouterLogits add_router_noise(const RouterLogits& logits, const Tensor& scale_logits, const Tensor& normal) {
  static constexpr const char* op = "add_router_noise";
  const Shape& shape = logits.main.shape();
  const DType dtype = logits.main.dtype();
  const Device device = logits.main.device();
  expect(op, "logits", logits.main, shape, wide(dtype), device);
  expect(op, "scale_logits", scale_logits, shape, dtype, device);
  expect(op, "normal", normal, shape, dtype, device);

  const RouterLogits noisy = with_two_gradients(Tape::output({logits.main, logits.z, scale_logits}, shape, dtype, device));
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    using W = Wide<T>;
    add_router_noise_forward(queue, RouterNoiseValues<W>{shape.size(), scale_logits.data<W>(), normal.data<W>()},
                             logits.main.data<W>(), noisy.main.data<W>());
  });

  // A route that brought nothing takes nothing on: its place is not asked for.
  Tape::record(op, {noisy.main, noisy.z},
               [dtype, device, scale_logits, normal, dmain = noisy.main.gradient(), dz = noisy.z.gradient(),
                into_main = logits.main.gradient(), into_z = logits.z.gradient()] {
                 dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
                   using W = Wide<T>;
                   const W *main = read<W>(dmain), *z = read<W>(dz);
                   const RouterNoiseGradients<W> gradients{.main = main,
                                                           .z = z,
                                                           .into_main = main ? contribute<W>(into_main) : GradOut<W>{},
                                                           .into_z = z ? contribute<W>(into_z) : GradOut<W>{},
                                                           .scale_logits = contribute<W>(scale_logits)};
                   add_router_noise_backward(
                       queue, RouterNoiseValues<W>{scale_logits.size(), scale_logits.data<W>(), normal.data<W>()}, gradients);
                 });
               });
  return noisy;
}

}  // namespace kappa
