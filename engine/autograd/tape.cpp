#include "engine/autograd/tape.h"

#include <algorithm>

#include "engine/tensor/dispatch.h"

namespace kappa {

static thread_local Tape* current = nullptr;

Tape::Tape() : outer_(std::exchange(current, this)) {}
Tape::~Tape() { current = outer_; }
Tape::Pause::Pause() : resumed_(std::exchange(current, nullptr)) {}
Tape::Pause::~Pause() { current = resumed_; }
bool Tape::recording() { return current != nullptr; }

Tensor Tape::output(std::span<const Tensor> inputs, Shape shape, DType dtype, Device device) {
  Tensor y = Tensor::empty(shape, dtype, device);
  if (current && std::ranges::any_of(inputs, &Tensor::tracked)) y.track();
  return y;
}
Tensor Tape::output(std::initializer_list<Tensor> inputs, Shape shape, DType dtype, Device device) {
  return output(std::span(inputs.begin(), inputs.size()), shape, dtype, device);
}

void Tape::record(std::string_view op, std::span<const Tensor> outputs, std::function<void()> backward) {
  if (!current) return;
  std::vector<GradientRef> gradients;
  for (const Tensor& y : outputs)
    if (y.tracked()) gradients.push_back(y.gradient());
  if (!gradients.empty()) current->nodes_.push_back({op, std::move(gradients), std::move(backward)});
}
void Tape::record(std::string_view op, std::initializer_list<Tensor> outputs, std::function<void()> backward) {
  record(op, std::span(outputs.begin(), outputs.size()), std::move(backward));
}

void Tape::backward(const Tensor& loss) {
  if (loss.size() != 1 || !loss.tracked()) throw std::logic_error("backward starts from a recorded scalar");
  const Tensor one = Tensor::empty({1}, loss.dtype());
  dispatch("backward", loss.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) {
    *one.data<T>() = T(1);
    contribute<T>(loss);
  });
  copy(one, Tensor::over(loss.gradient()->memory, {1}, loss.dtype(), loss.device()));
  run();
}

void Tape::run() {
  const Pause pause;
  const PhaseScope phase(Phase::backward);
  for (; !nodes_.empty(); nodes_.pop_back())
    if (Node& node = nodes_.back(); std::ranges::any_of(node.outputs, [](const GradientRef& g) { return g->written; }))
      node.backward();
}

std::vector<std::string_view> Tape::ops() const {
  std::vector<std::string_view> names;
  for (const Node& node : nodes_) names.push_back(node.op);
  return names;
}

Tensors recompute(std::function<Tensors(const Tensors&)> fn, const Tensors& inputs) {
  if (!Tape::recording()) return fn(inputs);
  Tensors outputs;
  {
    Tape::Pause pause;
    outputs = fn(inputs);
  }
  std::vector<GradientRef> gradients;
  for (Tensor& y : outputs) {
    if (y) y = y.detach(), y.track();
    gradients.push_back(y.gradient());
  }
  Tape::record("recompute", outputs, [fn = std::move(fn), inputs, gradients] {
    Tape inner;
    const Tensors again = fn(inputs);
    for (size_t i = 0; i < again.size(); ++i)
      if (again[i].tracked() && gradients[i]->written) *again[i].gradient() = *gradients[i];
    inner.run();
  });
  return outputs;
}

}  // namespace kappa
