#include "engine/ops/router_losses/router_losses.h"

#include "engine/autograd/tape.h"
#include "engine/ops/router_losses/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

static void check(std::string_view op, const Tensor& logits) {
  const Shape& shape = logits.shape();
  require(shape.rank() == 2 && shape.size() > 0, "{}: logits must be [tokens, experts], at least one of each, found {}", op,
          shape);
  expect(op, "logits", logits, shape, wide(logits.dtype()), logits.device());
}

template <class W>
static RouterLossLogits<W> values_of(const Tensor& logits) {
  return {.tokens = logits.dim(0), .experts = logits.dim(1), .values = logits.data<W>()};
}

Tensor load_balancing_loss(const Tensor& logits, const Routing& routing) {
  static constexpr const char* op = "load_balancing_loss";
  check(op, logits);
  const DType dtype = logits.dtype();
  const Device device = logits.device();
  expect(op, "logits", logits, {routing.tokens(), routing.experts}, dtype, device);
  const Tensor counts = expert_counts(routing);
  const Tensor loss = Tape::output({logits}, {1}, dtype, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    using W = Wide<T>;
    load_balancing_forward(queue, values_of<W>(logits), counts.data<int32_t>(), loss.data<W>());
  });

  Tape::record(op, {loss}, [=, dloss = loss.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      using W = Wide<T>;
      load_balancing_backward(queue, values_of<W>(logits), counts.data<int32_t>(),
                              RouterLossGradients<W>{.dloss = read<W>(dloss), .logits = contribute<W>(logits)});
    });
  });
  return loss;
}

Tensor router_z_loss(const Tensor& logits, RouterZLoss options) {
  static constexpr const char* op = "router_z_loss";
  check(op, logits);
  const DType dtype = logits.dtype();
  const Device device = logits.device();
  const ZLossTerms terms{.demean = options.demean, .penalize_mean = options.penalize_mean};
  const Tensor loss = Tape::output({logits}, {1}, dtype, device);
  dispatch(op, dtype, device,
           [&]<class T>(T, auto queue) { z_loss_forward(queue, values_of<Wide<T>>(logits), terms, loss.data<Wide<T>>()); });

  Tape::record(op, {loss}, [=, dloss = loss.gradient()] {
    dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
      using W = Wide<T>;
      z_loss_backward(queue, values_of<W>(logits), terms,
                      RouterLossGradients<W>{.dloss = read<W>(dloss), .logits = contribute<W>(logits)});
    });
  });
  return loss;
}

}  // namespace kappa
