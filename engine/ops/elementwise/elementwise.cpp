#include "engine/ops/elementwise/elementwise.h"

#include "engine/autograd/tape.h"
#include "engine/ops/elementwise/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor add(const Tensor& a, const Tensor& b) {
  const bool narrower = b.dtype() == DType::bf16 && a.dtype() == DType::f32;
  expect("add", "b", b, a.shape(), narrower ? b.dtype() : a.dtype(), a.device());
  const Tensor y = Tape::output({a, b}, a.shape(), a.dtype(), a.device());
  const int64_t n = y.size();
  const auto on = [narrower, dtype = a.dtype(), device = a.device()](auto body) {  // body(type of a, type of b, queue)
    dispatch("add", dtype, device, [&]<class T>(T type, auto queue) {
      if constexpr (std::is_same_v<T, float>)
        if (narrower) return body(type, bfloat16{}, queue);
      body(type, type, queue);
    });
  };
  on([&]<class A, class B>(A, B, auto queue) { add_forward(queue, n, a.data<A>(), b.data<B>(), y.data<A>()); });

  Tape::record("add", {y}, [on, n, da = a.gradient(), db = b.gradient(), dy = y.gradient()] {
    on([&]<class A, class B>(A, B, auto queue) {
      pass_backward(queue, n, read<A>(dy), contribute<A>(da));
      pass_backward(queue, n, read<A>(dy), contribute<B>(db));
    });
  });
  return y;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  expect("multiply", "b", b, a.shape(), a.dtype(), a.device());
  const Tensor y = Tape::output({a, b}, a.shape(), a.dtype(), a.device());
  const int64_t n = y.size();
  const auto on = [dtype = a.dtype(), device = a.device()](auto body) { dispatch("multiply", dtype, device, body); };
  on([&]<class T>(T, auto queue) { multiply_forward(queue, n, a.data<T>(), b.data<T>(), y.data<T>()); });

  Tape::record("multiply", {y}, [on, n, a, b, dy = y.gradient()] {
    on([&]<class T>(T, auto queue) {
      multiply_backward(queue, n, read<T>(dy), b.data<T>(), contribute<T>(a));
      multiply_backward(queue, n, read<T>(dy), a.data<T>(), contribute<T>(b));
    });
  });
  return y;
}

Tensor relu_squared(const Tensor& x) {
  const Tensor y = Tape::output({x}, x.shape(), x.dtype(), x.device());
  const int64_t n = y.size();
  const auto on = [dtype = x.dtype(), device = x.device()](auto body) { dispatch("relu_squared", dtype, device, body); };
  on([&]<class T>(T, auto queue) { relu_squared_forward(queue, n, x.data<T>(), y.data<T>()); });

  Tape::record("relu_squared", {y}, [on, n, x, dy = y.gradient()] {
    on([&]<class T>(T, auto queue) { relu_squared_backward(queue, n, read<T>(dy), x.data<T>(), contribute<T>(x)); });
  });
  return y;
}

Tensor mix(const Tensor& x, const Tensor& x0, const Tensor& alpha, const Tensor& beta) {
  expect("mix", "x0", x0, x.shape(), x.dtype(), x.device());
  expect("mix", "alpha", alpha, {1}, wide(x.dtype()), x.device());
  expect("mix", "beta", beta, {1}, wide(x.dtype()), x.device());
  const Tensor y = Tape::output({x, x0, alpha, beta}, x.shape(), x.dtype(), x.device());
  const int64_t n = y.size();
  const auto on = [dtype = x.dtype(), device = x.device()](auto body) { dispatch("mix", dtype, device, body); };
  on([&]<class T>(T, auto queue) {
    mix_forward(queue, n, x.data<T>(), x0.data<T>(), alpha.data<Wide<T>>(), beta.data<Wide<T>>(), y.data<T>());
  });

  Tape::record("mix", {y}, [=, dy = y.gradient()] {
    on([&]<class T>(T, auto queue) {
      using W = Wide<T>;
      mix_backward(queue, n, read<T>(dy), x.data<T>(), alpha.data<W>(), contribute<T>(x), contribute<W>(alpha));
      mix_backward(queue, n, read<T>(dy), x0.data<T>(), beta.data<W>(), contribute<T>(x0), contribute<W>(beta));
    });
  });
  return y;
}

}  // namespace kappa
