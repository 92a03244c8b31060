#include "engine/ops/scalars/scalars.h"

#include "engine/autograd/tape.h"
#include "engine/ops/scalars/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

Tensor mean_square(const Tensor& x) {
  const Tensor y = Tape::output({x}, {1}, x.dtype(), x.device());
  dispatch_wide("mean_square", x,
                [&]<class W>(W, CpuQueue queue) { mean_square_forward(queue, x.size(), x.data<W>(), y.data<W>()); });
  Tape::record("mean_square", {y}, [x, dy = y.gradient()] {
    dispatch_wide("mean_square", x, [&]<class W>(W, CpuQueue queue) {
      mean_square_backward(queue, x.size(), x.data<W>(), read<W>(dy), contribute<W>(x));
    });
  });
  return y;
}

Tensor weighted_sum(std::span<const Tensor> terms, const Tensor& weights) {
  expect("weighted_sum", "weights", weights, {int64_t(terms.size())}, weights.dtype(), weights.device());
  const Tensor y = Tape::output(terms, {1}, weights.dtype(), weights.device());
  dispatch_wide("weighted_sum", weights, [&]<class W>(W, CpuQueue) {
    W sum = 0;
    for (size_t i = 0; i < terms.size(); ++i) {
      expect("weighted_sum", "term", terms[i], {1}, weights.dtype(), weights.device());
      sum += weights.data<W>()[i] * *terms[i].data<W>();
    }
    *y.data<W>() = sum;
  });

  std::vector<GradientRef> gradients;
  for (const Tensor& term : terms) gradients.push_back(term.gradient());
  Tape::record("weighted_sum", {y}, [gradients, weights, dy = y.gradient()] {
    dispatch_wide("weighted_sum", weights, [&]<class W>(W, CpuQueue) {
      for (size_t i = 0; i < gradients.size(); ++i)
        if (const auto place = contribute<W>(gradients[i])) place.put(0, weights.data<W>()[i] * *read<W>(dy));
    });
  });
  return y;
}

Tensor masked_mean(const Tensor& values, const Tensor& targets) {
  expect("masked_mean", "targets", targets, values.shape(), DType::i32, values.device());
  const Tensor y = Tape::output({values}, {1}, values.dtype(), values.device());
  dispatch_wide("masked_mean", values, [&]<class W>(W, CpuQueue queue) {
    masked_mean_forward(queue, values.size(), values.data<W>(), targets.data<int32_t>(), y.data<W>());
  });
  Tape::record("masked_mean", {y}, [targets, y, dvalues = values.gradient(), dy = y.gradient()] {
    dispatch_wide("masked_mean", y, [&]<class W>(W, CpuQueue queue) {
      masked_mean_backward(queue, targets.size(), targets.data<int32_t>(), read<W>(dy), contribute<W>(dvalues));
    });
  });
  return y;
}

Tensor expand(const Tensor& x, int64_t rows, int64_t units, double factor) {
  const bool full = x.size() == rows * units, by_row = x.size() == rows;
  require(full || by_row || x.size() == 1, "expand: {} elements cannot be spread over [{}, {}]", x.size(), rows, units);
  if (full && factor == 1) return x.reshape({rows, units});
  const auto expansion = [=]<class W>(W) {
    return Expansion<W>{rows, units, full ? units : by_row ? 1 : 0, full ? 1 : 0, W(factor)};
  };
  const Tensor y = Tape::output({x}, {rows, units}, x.dtype(), x.device());
  dispatch_wide("expand", x, [&]<class W>(W w, auto queue) { expand_forward(queue, expansion(w), x.data<W>(), y.data<W>()); });
  Tape::record("expand", {y}, [expansion, y, dx = x.gradient(), dy = y.gradient()] {
    dispatch_wide("expand", y,
                  [&]<class W>(W w, auto queue) { expand_backward(queue, expansion(w), read<W>(dy), contribute<W>(dx)); });
  });
  return y;
}

}  // namespace kappa
