#include "engine/ops/router/router_gate.h"

#include "engine/autograd/tape.h"
#include "engine/ops/router/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor confidence_factors(const Tensor& router_weight, double norm_exponent) {
  static constexpr const char* op = "confidence_factors";
  const DType dtype = router_weight.dtype();
  const Device device = router_weight.device();
  require(router_weight.shape().rank() == 2, "{}: router_weight must be [experts, channels], found {}", op,
          router_weight.shape());
  const int64_t experts = router_weight.dim(0), channels = router_weight.dim(1);
  const Tensor factors = Tensor::empty({experts}, wide(dtype), device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    const ConfidenceNorms<T> norms{
        .experts = experts, .channels = channels, .weight = router_weight.data<T>(), .exponent = norm_exponent};
    compute_confidence_factors(queue, norms, factors.data<Wide<T>>());
  });
  return factors;
}

static constexpr const char* op = "router_gate";

static void check(const RouterGateInputs& in) {
  const DType dtype = in.logits.dtype();
  const Device device = in.logits.device();
  require(in.logits.shape().rank() == 2, "{}: logits must be [tokens, experts], found {}", op, in.logits.shape());
  const int64_t tokens = in.logits.dim(0), experts = in.routing.experts;
  expect(op, "logits", in.logits, {tokens, experts}, wide(dtype), device);
  expect_routing(op, in.routing, tokens, device);
  if (in.kind == Confidence::top_logits) expect(op, "factors", in.factors, {experts}, dtype, device);
}

template <class W>
static RouterGateValues<W> values_of(const RouterGateInputs& in) {
  return {.routing = in.routing.table(),
          .logits = in.logits.data<W>(),
          .factors = in.kind == Confidence::top_logits ? in.factors.data<W>() : nullptr};
}

RouterGate router_gate(const RouterGateInputs& in) {
  check(in);
  const Shape& shape = in.routing.expert.shape();
  const DType dtype = in.logits.dtype();
  const Device device = in.logits.device();
  const bool constant = in.kind == Confidence::constant;
  const RouterGate gate{
      .probability = Tape::output({in.logits}, shape, dtype, device),
      .confidence = constant ? Tensor::empty(shape, dtype, device) : Tape::output({in.logits}, shape, dtype, device)};
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    using W = Wide<T>;
    W* const confidence = gate.confidence.data<W>();
    router_gate_forward(queue, values_of<W>(in), gate.probability.data<W>(), constant ? nullptr : confidence);
    if (constant) fill_confidence(queue, W(in.constant), shape.size(), confidence);
  });

  Tape::record(op, {gate.probability, gate.confidence},
               [in, dtype, device, dp = gate.probability.gradient(), dc = gate.confidence.gradient()] {
                 dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
                   using W = Wide<T>;
                   const RouterGateGradients<W> gradients{.probability = read<W>(dp),
                                                          .confidence = read<W>(dc),
                                                          .confidence_scale = W(in.confidence_grad_scale),
                                                          .logits = contribute<W>(in.logits)};
                   router_gate_backward(queue, values_of<W>(in), gradients);
                 });
               });
  return gate;
}

}  // namespace kappa
