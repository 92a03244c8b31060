#include "engine/ops/moe_dispatch/moe_dispatch.h"

#include "engine/autograd/tape.h"
#include "engine/ops/moe_dispatch/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor moe_dispatch(const Tensor& x, const Routing& routing) {
  static constexpr const char* op = "moe_dispatch";
  const DType dtype = x.dtype();
  const Device device = x.device();
  require(x.shape().rank() == 2, "{}: x must be [tokens, channels], found {}", op, x.shape());
  expect_routing(op, routing, x.dim(0), device);
  const int64_t channels = x.dim(1);
  const Tensor slots = Tape::output({x}, {routing.experts, routing.capacity, channels}, dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    tokens_to_slots(queue, RowsToMove<T>{routing.table(), channels, x.data<T>()}, slots.data<T>());
  });

  Tape::record(op, {slots}, [dtype, device, channels, routing, dx = x.gradient(), dslots = slots.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      slots_to_tokens(queue, RowsToMove<T>{routing.table(), channels, read<T>(dslots)}, nullptr, contribute<T>(dx));
    });
  });
  return slots;
}

Tensor moe_dispatch_confidence(const Tensor& confidence, const Routing& routing) {
  static constexpr const char* op = "moe_dispatch_confidence";
  const DType dtype = confidence.dtype();
  const Device device = confidence.device();
  expect(op, "confidence", confidence, routing.expert.shape(), wide(dtype), device);
  expect_routing(op, routing, routing.tokens(), device);
  const Tensor slots = Tape::output({confidence}, {routing.experts, routing.capacity}, dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    choices_to_slots(queue, routing.table(), confidence.data<Wide<T>>(), slots.data<Wide<T>>());
  });

  Tape::record(op, {slots}, [dtype, device, routing, dconfidence = confidence.gradient(), dslots = slots.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      slots_to_choices(queue, routing.table(), read<Wide<T>>(dslots), contribute<Wide<T>>(dconfidence));
    });
  });
  return slots;
}

Tensor moe_combine(const Tensor& y, const Tensor& probability, const Routing& routing) {
  static constexpr const char* op = "moe_combine";
  const DType dtype = y.dtype();
  const Device device = y.device();
  require(y.shape().rank() == 3, "{}: y must be [experts, slots, channels], found {}", op, y.shape());
  const int64_t channels = y.dim(2);
  expect(op, "y", y, {routing.experts, routing.capacity, channels}, dtype, device);
  expect(op, "probability", probability, routing.expert.shape(), wide(dtype), device);
  expect_routing(op, routing, routing.tokens(), device);
  const Tensor out = Tape::output({y, probability}, {routing.tokens(), channels}, dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    slots_to_tokens(queue, RowsToMove<T>{routing.table(), channels, y.data<T>()}, probability.data<Wide<T>>(),
                    GradOut<T>{out.data<T>()});
  });

  Tape::record(op, {out}, [=, dout = out.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      using W = Wide<T>;
      combine_backward(queue, CombineBackward<T>{routing.table(), channels, read<T>(dout), y.data<T>(), probability.data<W>()},
                       contribute<T>(y), contribute<W>(probability));
    });
  });
  return out;
}

}  // namespace kappa
