#include "train/optimizers/finite.h"

#include <array>
#include <cmath>

#include "engine/tensor/dispatch.h"

namespace kappa {

/// The index along every axis of element `i`.
static Shape place_of(const Shape& shape, int64_t i) {
  std::array<int64_t, 4> place{};
  for (int axis = shape.rank(); axis-- > 0; i /= shape[axis]) place[size_t(axis)] = i % shape[axis];
  return Shape(std::span<const int64_t>(place.data(), size_t(shape.rank())));
}

void expect_finite(std::string_view parameter, std::initializer_list<NamedTensor> tensors) {
  for (const auto& [what, values] : tensors) {
    if (!values) continue;
    dispatch("expect_finite", values.dtype(), values.device(), [&, what = what, values = values]<class T>(T, CpuQueue) {
      const T* const data = values.data<T>();
      for (int64_t i = 0; i < values.size(); ++i)
        if (const Wide<T> value = data[i]; !std::isfinite(value))
          throw RunError(fmt::format("{}: the {} is {} at {}", parameter, what, value, place_of(values.shape(), i)));
    });
  }
}

Tensor gradient_of_parameter(const Tensor& parameter) {
  const Gradient& g = *parameter.gradient();
  return Tensor::over(g.memory, g.shape, g.dtype, g.device);
}

}  // namespace kappa
