#pragma once
// Tensors from numbers and back, for tests.

#include <cmath>
#include <random>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/tensor/dispatch.h"

namespace kappa::test {

inline std::vector<double> to_doubles(const Tensor& anywhere) {
  const Tensor x = moved(anywhere, Device::cpu);
  std::vector<double> values(size_t(x.size()));
  if (x.dtype() == DType::i32) {
    for (int64_t i = 0; i < x.size(); ++i) values[size_t(i)] = x.data<int32_t>()[i];
    return values;
  }
  dispatch("to_doubles", x.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) {
    for (int64_t i = 0; i < x.size(); ++i) values[size_t(i)] = double(Wide<T>(x.data<T>()[i]));
  });
  return values;
}

inline void set_values(const Tensor& anywhere, const std::vector<double>& values) {
  const Tensor x = anywhere.device() == Device::cpu ? anywhere : Tensor::empty(anywhere.shape(), anywhere.dtype());
  if (x.dtype() == DType::i32)
    for (int64_t i = 0; i < x.size(); ++i) x.data<int32_t>()[i] = int32_t(values[size_t(i)]);
  else
    dispatch("set_values", x.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) {
      for (int64_t i = 0; i < x.size(); ++i) x.data<T>()[i] = T(Wide<T>(values[size_t(i)]));
    });
  if (anywhere.device() != Device::cpu) copy(x, anywhere);
}

/// The gradient as numbers; zeros if nothing has contributed.
inline std::vector<double> gradient_of(const Tensor& x) {
  const Gradient& g = *x.gradient();
  if (!g.memory) return std::vector<double>(size_t(x.size()), 0.0);
  return to_doubles(Tensor::over(g.memory, g.shape, g.dtype, g.device));
}

/// A persistent value with a zeroed persistent gradient.
inline Tensor parameter(Shape shape, DType dtype, DType gradient_dtype, Device device = Device::cpu) {
  PersistentSlab slab(2 * PersistentSlab::footprint(shape.size() * 8), device);
  const Memory value = slab.take(shape.size() * size_of(dtype)), gradient = slab.take(shape.size() * size_of(gradient_dtype));
  return Tensor::over(value, shape, dtype, device,
                      std::make_shared<Gradient>(Gradient{shape, gradient_dtype, device, gradient, true}));
}

inline std::vector<double> random_values(int64_t n, std::mt19937_64& random, double low = -2, double high = 2) {
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(n));
  for (double& v : values) v = uniform(random);
  return values;
}

/// ‖a − b‖₂ / ‖b‖₂
inline double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

/// Adds `dy` to the gradient of an output, as an op that reads it would.
inline void contribute_values(const Tensor& y, std::vector<double> dy) {
  dispatch("seed", y.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) {
    if (const GradOut<T> place = contribute<T>(y); place.add) {
      const auto before = gradient_of(y);
      for (size_t i = 0; i < dy.size(); ++i) dy[i] += before[i];
    }
  });
  const Gradient& g = *y.gradient();
  set_values(Tensor::over(g.memory, g.shape, g.dtype, g.device), dy);
}

}  // namespace kappa::test
