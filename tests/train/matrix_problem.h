#pragma once
// Matrices to optimize, in tensors, for the tests of Muon and Aurora.

#include "tests/support/catch.h"
#include "tests/support/values.h"
#include "tests/train/matrix_oracle.h"
#include "train/optimizers/matrix_step.h"

namespace kappa::test {

/// The common data of the known values: two gradients and a parameter.
inline const Matrix known_gradients[]{{3, 4, {0.3, -0.2, 0.1, 0.4, -0.5, 0.2, 0.3, -0.1, 0.2, 0.1, -0.4, 0.6}},
                                      {3, 4, {-0.1, 0.2, -0.3, 0.4, 0.3, -0.2, 0.5, -0.4, -0.6, 0.1, 0.2, -0.3}}};
inline const Matrix known_parameter{3, 4, {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1}};

inline MatrixTensors matrix_tensors(Shape shape, DType dtype, const std::vector<double>& values, std::string_view name = "c_fc") {
  const int64_t lines = std::max(shape[-2], shape[-1]);
  MatrixTensors t{.name = name,
                  .parameter = parameter(shape, dtype, dtype),
                  .momentum = Tensor::zeros(shape, dtype),
                  .second_moment = Tensor::zeros({shape.size() / shape[-1] / shape[-2], lines}, dtype)};
  set_values(t.parameter, values);
  return t;
}
inline MatrixTensors matrix_tensors(const Matrix& p, DType dtype) {
  return matrix_tensors({int64_t(p.m), int64_t(p.n)}, dtype, p.x);
}

inline void set_gradient(const Tensor& x, const std::vector<double>& values) {
  const Gradient& g = *x.gradient();
  set_values(Tensor::over(g.memory, g.shape, g.dtype), values);
}

/// The known values have six decimals; float32 follows to 1e-4.
inline void check_known(const Tensor& x, const std::vector<double>& expected) {
  const auto values = to_doubles(x);
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(values[i] == Approx(expected[i]).margin(x.dtype() == DType::f64 ? 2e-6 : 1e-4).epsilon(0));
}

/// Several steps on [experts, m, n] with random gradients, the last expert's all zero, by `optimizer` in both types and by the
/// oracle: the parameters agree up to rounding.
inline void check_against_oracle(MatrixOptimizer optimizer, int64_t experts, int64_t m, int64_t n, int steps) {
  INFO(experts << " x " << m << " x " << n);
  std::mt19937_64 random(11);
  const Shape shape = experts == 1 ? Shape{m, n} : Shape{experts, m, n};
  const auto start = random_values(shape.size(), random, -0.1, 0.1);
  const MatrixTensors exact = matrix_tensors(shape, DType::f64, start), single = matrix_tensors(shape, DType::f32, start);
  std::vector<Learned> oracle;
  const auto part = [&](const std::vector<double>& all, int64_t e) {
    return Matrix{size_t(m), size_t(n), {all.begin() + e * m * n, all.begin() + (e + 1) * m * n}};
  };
  for (int64_t e = 0; e < experts; ++e) oracle.push_back({.p = part(start, e)});

  for (int i = 0; i < steps; ++i) {
    auto g = random_values(shape.size(), random);
    if (experts > 1) std::fill(g.end() - m * n, g.end(), 0.0);
    set_gradient(exact.parameter, g), set_gradient(single.parameter, g);
    const OracleRates r{.lr = 0.02, .weight_decay = 0.5, .momentum = 0.9, .scale = 0.7};
    const MatrixRates rates{.lr = r.lr, .weight_decay = r.weight_decay, .momentum = r.momentum, .scale = r.scale};
    matrix_step({optimizer}, std::span(&exact, 1), rates);
    matrix_step({optimizer}, std::span(&single, 1), rates);
    for (int64_t e = 0; e < experts; ++e)
      optimizer == MatrixOptimizer::muon ? oracle[size_t(e)].muon(part(g, e), r) : oracle[size_t(e)].aurora(part(g, e), r);
  }
  const auto p = to_doubles(exact.parameter), q = to_doubles(single.parameter);
  for (int64_t e = 0; e < experts; ++e) {
    INFO("matrix " << e);
    CHECK(relative_distance(part(p, e).x, oracle[size_t(e)].p.x) <= 1e-12);
    CHECK(relative_distance(part(q, e).x, oracle[size_t(e)].p.x) <= 1e-5);  // 2⁻²⁴ a product, over some thirty products a step
  }
}

}  // namespace kappa::test
