#include "engine/tensor/finite.h"

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

std::optional<NotFinite> first_not_finite(const Tensor& values) {
  std::optional<NotFinite> found;
  dispatch("first_not_finite", values.dtype(), values.device(), [&]<class T>(T, CpuQueue) {
    const T* const data = values.data<T>();
    for (int64_t i = 0; i < values.size() && !found; ++i)
      if (const Wide<T> value = data[i]; !std::isfinite(value)) found = {double(value), place_of(values.shape(), i)};
  });
  return found;
}

}  // namespace kappa
