#include "train/optimizers/adamw.h"

#include <limits>

#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

AdamWTensors tensors_of(Shape shape, DType dtype, const std::vector<double>& values) {
  AdamWTensors t{.name = "wte",
                 .parameter = parameter(shape, dtype, dtype),
                 .first_moment = Tensor::zeros(shape, dtype),
                 .second_moment = Tensor::zeros(shape, dtype),
                 .updates = Tensor::zeros({1}, DType::i32)};
  set_values(t.parameter, values);
  return t;
}

void step(const AdamWTensors& t, const std::vector<double>& gradient, const AdamWRates& rates) {
  const Gradient& g = *t.parameter.gradient();
  set_values(Tensor::over(g.memory, g.shape, g.dtype), gradient);
  adamw_step(t, rates);
}

void check(const Tensor& x, const std::vector<double>& expected) {
  const auto values = to_doubles(x);
  const double tolerance = x.dtype() == DType::f64 ? 2e-9 : 1e-6;
  for (size_t i = 0; i < expected.size(); ++i) CHECK(values[i] == Approx(expected[i]).margin(tolerance));
}

/// The formulas, in double, one element at a time.
struct Oracle {
  std::vector<double> p, m = std::vector<double>(p.size()), v = std::vector<double>(p.size());
  int count = 0;
  void step(const std::vector<double>& g, const AdamWRates& r) {
    ++count;
    for (size_t i = 0; i < p.size(); ++i) {
      p[i] *= 1 - r.lr * r.weight_decay;
      m[i] = r.beta1 * m[i] + (1 - r.beta1) * g[i];
      v[i] = r.beta2 * v[i] + (1 - r.beta2) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(r.beta1, count)), v_hat = v[i] / (1 - std::pow(r.beta2, count));
      p[i] -= r.lr * m_hat / (std::sqrt(v_hat) + r.eps);
    }
  }
};

}  // namespace

TEST_CASE("adamw: known values") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    INFO(name_of(dtype));
    const AdamWRates decaying{.lr = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.01};
    const auto a = tensors_of({3}, dtype, {0.5, -1, 1.5});
    step(a, {0.2, -0.4, 0.6}, decaying);
    check(a.parameter, {0.399500005, -0.899000002, 1.398500002});
    check(a.first_moment, {0.02, -0.04, 0.06});
    check(a.second_moment, {0.002, 0.008, 0.018});
    step(a, {-0.1, -0.4, 0}, decaying);
    check(a.parameter, {0.372263562, -0.798101005, 1.329236729});
    check(a.first_moment, {0.008, -0.076, 0.054});
    check(a.second_moment, {0.0024, 0.0156, 0.0171});
    CHECK(*a.updates.data<int32_t>() == 2);

    const AdamWRates plain{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10};
    const auto b = tensors_of({3}, dtype, {0.5, -1, 1.5});
    step(b, {0.2, -0.4, 0.6}, plain);
    check(b.parameter, {0.4, -0.9, 1.4});
    step(b, {-0.1, -0.4, 0}, plain);
    check(b.parameter, {0.378754085, -0.8, 1.336324409});
  }
}

TEST_CASE("adamw: follows the formulas at any size, with an eps that matters") {
  const AdamWRates rates{.lr = 0.03, .beta1 = 0.7, .beta2 = 0.9, .eps = 0.3, .weight_decay = 0.2};
  for (const int64_t n : {1, 17, 40001}) {
    std::mt19937_64 random(3);
    Oracle oracle{.p = random_values(n, random)};
    const auto exact = tensors_of({n}, DType::f64, oracle.p), single = tensors_of({n}, DType::f32, oracle.p);
    for (int i = 0; i < 4; ++i) {
      const auto g = random_values(n, random);
      oracle.step(g, rates);
      step(exact, g, rates), step(single, g, rates);
    }
    CHECK(relative_distance(to_doubles(exact.parameter), oracle.p) <= 1e-14);
    CHECK(relative_distance(to_doubles(single.parameter), oracle.p) <= 4e-7);  // some roundings of 6e-8
    CHECK(relative_distance(to_doubles(single.second_moment), oracle.v) <= 4e-7);
  }
}

TEST_CASE("adamw: a gradient of zeros still decays the moments and moves the parameter") {
  const AdamWRates rates{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10};
  const auto t = tensors_of({1}, DType::f64, {1});
  step(t, {0.5}, rates);
  step(t, {0}, rates);
  CHECK(to_doubles(t.first_moment)[0] == Approx(0.08).epsilon(1e-12));
  CHECK(to_doubles(t.parameter)[0] < 0.9);
}

TEST_CASE("adamw: the same bits for any number of threads") {
  const int before = threads();
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    std::mt19937_64 random(4);
    const auto t = tensors_of({50000}, DType::f32, random_values(50000, random));
    for (int i = 0; i < 2; ++i) step(t, random_values(50000, random), {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10});
    results.push_back(to_doubles(t.parameter));
  }
  set_threads(before);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}

TEST_CASE("adamw: a value that is not finite ends the run, with its name and place") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const AdamWRates rates{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10};
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto broken = [&](const char* what, double value) {
      const auto t = tensors_of({200, 101}, dtype, std::vector<double>(20200, 0.5));
      std::vector<double> zeros(20200, 0.0), one_bad(20200, 0.0);
      one_bad[198 * 101 + 7] = one_bad[199 * 101] = value;
      const std::string_view where = what;
      if (where == "first moment") set_values(t.first_moment, one_bad);
      if (where == "second moment") set_values(t.second_moment, one_bad);
      if (where == "parameter") set_values(t.parameter, one_bad);
      step(t, where == "gradient" ? one_bad : zeros, rates);
    };
    CHECK_THROWS_WITH(broken("gradient", inf), "wte: the gradient is inf at [198, 7]");
    CHECK_THROWS_WITH(broken("gradient", nan), "wte: the gradient is nan at [198, 7]");
    CHECK_THROWS_WITH(broken("first moment", nan), "wte: the first moment is nan at [198, 7]");
    CHECK_THROWS_WITH(broken("second moment", nan), "wte: the second moment is nan at [198, 7]");
    CHECK_THROWS_WITH(broken("parameter", -inf), "wte: the parameter is -inf at [198, 7]");
    CHECK_THROWS_AS(broken("parameter", inf), RunError);
    CHECK_NOTHROW(broken("gradient", 1.0));
  }
}
