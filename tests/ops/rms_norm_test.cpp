#include "engine/ops/rms_norm/rms_norm.h"

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, Shape shape) {
  return {.op = "rms_norm",
          .what = what,
          .inputs = {{Kind::activation, shape}},
          .call = [](const Tensors& x) { return Tensors{rms_norm(x[0])}; },
          .bf16_roundings = 2};  // the way back starts from a rounded y
}

// A row of one element is left to the tests below: its gradient is all cancellation.
const Case two{case_of("two elements", {1, 2})}, ragged{case_of("ragged rows", {3, 5, 37})},
    heads{case_of("heads of two channels", {2, 3, 4, 2})}, tiles{case_of("more than a tile of rows", {131, 129})};

/// Between a wide residual stream and a narrower compute type: in bfloat16 the types differ, elsewhere they are one.
const Case narrowing{{.op = "rms_norm",
                      .what = "from wide to the compute type",
                      .inputs = {{Kind::wide_activation, {131, 129}}, {Kind::constant, {1}}},
                      .call = [](const Tensors&x) { return Tensors{rms_norm(x[0], x[1].dtype())}; },
                      .bf16_roundings = 2}},
    widening{{.op = "rms_norm",
              .what = "from the compute type to wide",
              .inputs = {{Kind::activation, {131, 129}}},
              .call = [](const Tensors&x) { return Tensors{rms_norm(x[0], wide(x[0].dtype()))}; },
              .bf16_roundings = 2}};

/// Values so small that ε counts as much as their mean square does.
std::vector<double> tiny_values(int64_t n) {
  std::mt19937_64 random(3);
  return random_values(n, random, -6e-4, 6e-4);
}

}  // namespace

TEST_CASE("rms_norm: y is x over the root of its mean square and 2^-23") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Tensor x = Tensor::empty({2, 11}, dtype);
    set_values(x, tiny_values(22));
    const auto y = to_doubles(rms_norm(x)), values = to_doubles(x);
    for (size_t row = 0; row < 2; ++row) {
      long double squares = 0;
      for (size_t j = 0; j < 11; ++j) squares += std::pow(static_cast<long double>(values[row * 11 + j]), 2);
      const long double root = std::sqrt(squares / 11 + 1.1920928955078125e-7L);
      for (size_t j = 0; j < 11; ++j)
        REQUIRE(y[row * 11 + j] == Approx(double(values[row * 11 + j] / root)).epsilon(dtype == DType::f64 ? 1e-14 : 3e-7));
    }
  }
}

TEST_CASE("rms_norm: the gradient where epsilon counts") {
  // dx_i = Σ_j dy_j·∂y_j/∂x_i with ∂y_j/∂x_i = δ_ij/m − x_i·x_j/(n·m³), m = √(mean(x²) + ε): the whole Jacobian.
  for (const size_t n : {1, 11}) {
    Tensor x = Tensor::empty({1, int64_t(n)}, DType::f64).track();
    const auto values = tiny_values(x.size());
    set_values(x, values);
    std::vector<double> dy(n);
    Tape tape;
    const Tensor y = rms_norm(x);
    const GradOut<double> cotangent = contribute<double>(y);
    for (size_t j = 0; j < n; ++j) cotangent.put(int64_t(j), dy[j] = std::cos(double(j)));
    tape.run();

    double squares = 0;
    for (double v : values) squares += v * v;
    const double m = std::sqrt(squares / double(n) + 0x1p-23);
    const auto dx = gradient_of(x);
    for (size_t i = 0; i < n; ++i) {
      double expected = dy[i] / m;
      for (size_t j = 0; j < n; ++j) expected -= dy[j] * values[i] * values[j] / (double(n) * m * m * m);
      REQUIRE(dx[i] == Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("rms_norm: a row of zeros stays one") {
  const Tensor x = Tensor::zeros({2, 5}, DType::f32);
  for (double value : to_doubles(rms_norm(x))) REQUIRE(value == 0);
}

TEST_CASE("rms_norm: an empty last axis is refused") {
  REQUIRE_THROWS_WITH(rms_norm(Tensor::empty({3, 0}, DType::f32)), "rms_norm: x must be [..., n] with n >= 1, found [3, 0]");
}
