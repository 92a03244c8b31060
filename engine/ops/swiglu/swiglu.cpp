#include "engine/ops/swiglu/swiglu.h"

#include "engine/autograd/tape.h"
#include "engine/ops/swiglu/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  expect("swiglu", "up", up, gate.shape(), gate.dtype(), gate.device());
  const Tensor h = Tape::output({gate, up}, gate.shape(), gate.dtype(), gate.device());
  dispatch("swiglu", gate.dtype(), gate.device(),
           [&]<class T>(T, auto queue) { swiglu_forward(queue, gate.size(), gate.data<T>(), up.data<T>(), h.data<T>()); });

  Tape::record("swiglu", {h}, [gate, up, dh = h.gradient()] {
    dispatch("swiglu", gate.dtype(), gate.device(), [&]<class T>(T, auto queue) {
      const SwigluGradients<T> gradients{.dh = read<T>(dh), .gate = contribute<T>(gate), .up = contribute<T>(up)};
      swiglu_backward(queue, gate.size(), gate.data<T>(), up.data<T>(), gradients);
    });
  });
  return h;
}

}  // namespace kappa
