#pragma once
// The tape: the list of what was computed, walked backwards for gradients.
//
// An op makes its outputs with Tape::output, computes, and hands Tape::record a closure that turns the outputs' gradients into
// contributions to its inputs'. What the closure captures is what the op keeps alive: the memory budget, in plain sight. A
// closure that needs a tensor's gradient but not its values captures `x.gradient()`.

#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/grad_out.h"
#include "engine/tensor/tensor.h"

namespace kappa {

/// The place for the next contribution, allocated at the first; null if nobody wants it. Whoever asks must then write every
/// element, unless `add`.
template <class T>
GradOut<T> contribute(const GradientRef& gradient) {
  if (!gradient) return {};
  if (gradient->dtype != TypeOf<T>::value)
    throw std::logic_error(
        fmt::format("a {} gradient was offered {} contributions", name_of(gradient->dtype), name_of(TypeOf<T>::value)));
  const int64_t bytes = gradient->shape.size() * size_of(gradient->dtype);
  if (!gradient->memory) gradient->memory = allocate(bytes, gradient->device);
  if (Profile* profile = Profile::current()) profile->touch(gradient->memory.get(), gradient->written ? 2 * bytes : bytes);
  return {reinterpret_cast<T*>(gradient->memory.get()), std::exchange(gradient->written, true)};
}
template <class T>
GradOut<T> contribute(const Tensor& x) {
  return contribute<T>(x.gradient());
}

/// An output's gradient, null if nothing contributed to it.
template <class T>
const T* read(const GradientRef& gradient) {
  if (!gradient || !gradient->written) return nullptr;
  if (Profile* profile = Profile::current())
    profile->touch(gradient->memory.get(), gradient->shape.size() * size_of(gradient->dtype));
  return reinterpret_cast<const T*>(gradient->memory.get());
}

class Tape {
 public:
  /// Ops record on the tape that was made last and is still alive on this thread; without one nothing is recorded.
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static bool recording();

  /// Memory for an op's output; tracked if the op will be recorded, that is, if a tape is recording and an input is tracked.
  static Tensor output(std::initializer_list<Tensor> inputs, Shape shape, DType dtype, Device device);
  static Tensor output(std::span<const Tensor> inputs, Shape shape, DType dtype, Device device);

  /// Keeps `backward`, to run if one of `outputs` has received a gradient. The tape keeps gradients, never values: those are the
  /// closure's choice.
  static void record(std::string_view op, std::initializer_list<Tensor> outputs, std::function<void()> backward);
  static void record(std::string_view op, std::span<const Tensor> outputs, std::function<void()> backward);

  /// Gives d(loss) the value 1 and walks back.
  void backward(const Tensor& loss);
  /// Walks back from gradients that are there already. Nothing is recorded meanwhile, unless on a tape of its own.
  void run();

  /// The names of the recorded ops, in order.
  std::vector<std::string_view> ops() const;

  /// Nothing is recorded while one is alive on this thread.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Tape* resumed_;
  };

 private:
  struct Node {
    std::string_view op;
    std::vector<GradientRef> outputs;
    std::function<void()> backward;
  };
  std::vector<Node> nodes_;
  Tape* outer_;
};

/// fn(inputs) whose activations are not kept but computed again on the way back. fn must compute the same again: decisions
/// (routing, random numbers) are made once and kept. Outputs are tracked even if no input is, for the parameters inside fn; one
/// may be no tensor.
Tensors recompute(std::function<Tensors(const Tensors&)> fn, const Tensors& inputs);

}  // namespace kappa
