#include "train/optimizers/aurora.h"

#include <limits>

#include "engine/device/thread_pool.h"
#include "engine/ops/orthogonalize/orthogonalize.h"
#include "tests/train/matrix_problem.h"

using namespace kappa;
using namespace kappa::test;

namespace {

constexpr MatrixRates known_rates{.lr = 0.05, .weight_decay = 0.1, .momentum = 0.95, .scale = 0.4};

void aurora(const MatrixTensors& t, const Matrix& gradient, const MatrixRates& rates) {
  set_gradient(t.parameter, gradient.x);
  matrix_step({MatrixOptimizer::aurora}, std::span(&t, 1), rates);
}

/// O for one gradient without momentum: what a parameter of zeros becomes with lr = −1.
Matrix direction(const Matrix& gradient, DType dtype = DType::f64) {
  const MatrixTensors t = matrix_tensors(Matrix{gradient.m, gradient.n}, dtype);
  aurora(t, gradient, {.lr = -1, .weight_decay = 0, .momentum = 0.95});
  return {gradient.m, gradient.n, to_doubles(t.parameter)};
}

void check_equal(const Matrix& a, const std::vector<double>& expected, double tolerance = 2e-6) {
  REQUIRE(a.x.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) CHECK(a.x[i] == Approx(expected[i]).margin(tolerance).epsilon(0));
}

Matrix first_columns(const Matrix& a, size_t n) {
  Matrix b{a.m, n};
  for (size_t i = 0; i < a.m; ++i)
    for (size_t j = 0; j < n; ++j) b(i, j) = a(i, j);
  return b;
}

const Matrix counting{2, 3, {1, 2, 3, 4, 5, 6}};

}  // namespace

TEST_CASE("orthogonalize: the scalar map of five simple quintic steps") {
  const std::vector<std::pair<double, double>> map{
      {0.0005, 0.015999}, {0.001, 0.031992}, {0.003, 0.095779}, {0.01, 0.311994}, {0.02, 0.579947},
      {0.03, 0.777009},   {0.05, 0.964712},  {0.1, 1.000464},   {0.2, 1.000000},  {1, 1}};
  const MatrixBatch batch{.count = int64_t(map.size()), .rows = 1, .columns = 1};
  const std::vector<Quintic> steps(5, Quintic{2, -1.5, 0.5});
  const auto form = GENERATE(PolarForm::direct, PolarForm::gram);
  const OrthogonalizeSpace<double, CpuQueue> space(CpuQueue{}, batch, form);
  const auto start = [&] {
    for (size_t i = 0; i < map.size(); ++i) space.x()[i] = map[i].first;
  };
  start();
  const double* x = orthogonalize(CpuQueue{}, batch, std::span(steps), space);
  for (size_t i = 0; i < map.size(); ++i) CHECK(x[i] == Approx(map[i].second).margin(1e-6).epsilon(0));
  start();
  space.x()[0] = 0.5;
  CHECK(orthogonalize(CpuQueue{}, batch, std::span(steps).first(1), space)[0] == Approx(0.828125).epsilon(1e-14));
}

TEST_CASE("aurora: the oracle gives the known polar factors") {
  check_equal(polar(known_gradients[0]), {0.363604, -0.413834, 0.563349, 0.615769, -0.768781, 0.336440, 0.493492, 0.228581,
                                          -0.003450, 0.327741, -0.575763, 0.749047});
  check_equal(polar(counting), {-0.579063, 0.114939, 0.808942, 0.707278, 0.565832, 0.424385});
  check_equal(polar(counting, 12), {-0.577792, 0.115117, 0.808025, 0.706746, 0.565757, 0.424769});
}

TEST_CASE("aurora: known directions, wide and tall") {
  const std::vector<double> expected{-0.570188, 0.334466, 0.752054, 0.710371, 0.660694, 0.243413};
  check_equal(direction(counting), expected);
  check_equal(direction(counting, DType::f32), expected, 1e-4);
  const Matrix tall = direction(transposed(counting));
  check_equal(transposed(tall), expected);
  const double squares[]{0.829742, 0.548384, 0.624836};
  for (size_t i = 0; i < 3; ++i) CHECK(row_square(tall, i) == Approx(squares[i]).margin(2e-6));
}

TEST_CASE("aurora: two known steps, wide and tall") {
  const std::vector<double> first{-0.006168, 0.109900, 0.189291, 0.285869, 0.411478, 0.488633,
                                  0.586875,  0.690401, 0.792234, 0.886754, 1.005940, 1.080729};
  const std::vector<double> second{-0.011324, 0.099682, 0.183765, 0.268357, 0.407577, 0.490233,
                                   0.564779,  0.690569, 0.804050, 0.870845, 0.997496, 1.078107};
  for (const DType dtype : {DType::f64, DType::f32}) {
    const MatrixTensors wide = matrix_tensors(known_parameter, dtype), tall = matrix_tensors(transposed(known_parameter), dtype);
    aurora(wide, known_gradients[0], known_rates), aurora(tall, transposed(known_gradients[0]), known_rates);
    check_known(wide.parameter, first);
    check_known(tall.parameter, transposed({3, 4, first}).x);
    check_known(wide.momentum, sum(0.05, known_gradients[0], 0, known_gradients[0]).x);
    aurora(wide, known_gradients[1], known_rates), aurora(tall, transposed(known_gradients[1]), known_rates);
    check_known(wide.parameter, second);
    check_known(tall.parameter, transposed({3, 4, second}).x);
  }
}

TEST_CASE("aurora: a square matrix is not balanced") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const MatrixTensors t = matrix_tensors(first_columns(known_parameter, 3), dtype);
    aurora(t, first_columns(known_gradients[0], 3),
           {.lr = 0.05, .weight_decay = 0.1, .momentum = 0.95, .scale = aspect_scale(3, 3, true)});
    check_known(t.parameter, {-0.013758, 0.099277, 0.188761, 0.405645, 0.485392, 0.587481, 0.789012, 0.883473, 1.005124});
  }
}

TEST_CASE("aurora: without gradient and momentum only the decay acts") {
  for (const auto& [m, n] : std::vector<std::pair<int64_t, int64_t>>{{3, 4}, {4, 3}, {3, 3}, {1, 1}, {1, 5}, {5, 1}}) {
    const MatrixTensors t = matrix_tensors({m, n}, DType::f32, std::vector<double>(size_t(m * n), 0.5));
    aurora(t, Matrix{size_t(m), size_t(n)}, {.lr = 0.25, .weight_decay = 0.5, .momentum = 0.95});
    CHECK(to_doubles(t.parameter) == std::vector<double>(size_t(m * n), 0.4375));
  }
}

TEST_CASE("aurora: every expert is a matrix of its own, at ragged sizes") {
  check_against_oracle(MatrixOptimizer::aurora, 1, 1, 1, 2);
  check_against_oracle(MatrixOptimizer::aurora, 1, 6, 32, 3);
  check_against_oracle(MatrixOptimizer::aurora, 3, 5, 17, 3);
  check_against_oracle(MatrixOptimizer::aurora, 3, 17, 5, 3);
  check_against_oracle(MatrixOptimizer::aurora, 2, 9, 9, 3);
  check_against_oracle(MatrixOptimizer::aurora, 2, 70, 300, 1);
  check_against_oracle(MatrixOptimizer::aurora, 2, 300, 70, 1);
}

TEST_CASE("aurora: a line of zeros stays finite") {
  Matrix g = known_gradients[0];
  for (size_t j = 0; j < g.n; ++j) g(1, j) = 0;
  const auto expected = aurora_direction(transposed(g)).x;
  check_equal(direction(transposed(g)), expected, 1e-12);
}

TEST_CASE("matrix_step: what is stepped together, and on how many threads, does not matter") {
  const int before = threads();
  for (const MatrixOptimizer optimizer : {MatrixOptimizer::aurora, MatrixOptimizer::muon}) {
    std::mt19937_64 random(2);
    const Shape experts{9, 128, 1024}, one{128, 1024};  // more elements than are worked on at a time
    const auto start = random_values(experts.size(), random, -0.1, 0.1), extra = random_values(one.size(), random, -0.1, 0.1),
               g = random_values(experts.size(), random), extra_g = random_values(one.size(), random);
    const MatrixRates rates{.lr = 0.1, .weight_decay = 0.1, .momentum = 0.95};
    const auto step = [&](bool together) {
      const std::vector<MatrixTensors> t{matrix_tensors(one, DType::f32, extra), matrix_tensors(experts, DType::f32, start)};
      set_gradient(t[0].parameter, extra_g), set_gradient(t[1].parameter, g);
      if (together)
        matrix_step({optimizer}, t, rates);
      else
        for (const MatrixTensors& tensors : t) matrix_step({optimizer}, std::span(&tensors, 1), rates);
      auto all = to_doubles(t[0].parameter);
      const auto rest = to_doubles(t[1].parameter);
      all.insert(all.end(), rest.begin(), rest.end());
      return all;
    };
    std::vector<std::vector<double>> results;
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      results.push_back(step(true));
    }
    CHECK(results[1] == results[0]);
    CHECK(results[2] == results[0]);
    CHECK(relative_distance(step(false), results[0]) <= 1e-6);
  }
  set_threads(before);
}

TEST_CASE("matrix_step: a value that is not finite ends the run, with its name and place") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const MatrixOptimizer optimizer : {MatrixOptimizer::aurora, MatrixOptimizer::muon}) {
    const auto broken = [&](std::string_view what, double value) {
      std::mt19937_64 random(6);
      const std::vector<MatrixTensors> t{matrix_tensors({2, 3, 4}, DType::f32, random_values(24, random), "gate_proj"),
                                         matrix_tensors({2, 3, 4}, DType::f32, random_values(24, random), "c_fc")};
      for (const MatrixTensors& tensors : t) set_gradient(tensors.parameter, random_values(24, random));
      auto bad = random_values(24, random);
      bad[18] = bad[20] = value;
      if (what == "gradient") set_gradient(t[1].parameter, bad);
      if (what == "momentum") set_values(t[1].momentum, bad);
      if (what == "parameter") set_values(t[1].parameter, bad);
      matrix_step({optimizer}, t, {.lr = 0.1, .weight_decay = 0.1, .momentum = 0.95});
    };
    CHECK_THROWS_WITH(broken("gradient", nan), "c_fc: the gradient is nan at [1, 1, 2]");
    CHECK_THROWS_WITH(broken("gradient", inf), "c_fc: the gradient is inf at [1, 1, 2]");
    CHECK_THROWS_WITH(broken("momentum", nan), "c_fc: the momentum is nan at [1, 1, 2]");
    CHECK_THROWS_WITH(broken("parameter", nan), "c_fc: the parameter is nan at [1, 1, 2]");
    CHECK_THROWS_AS(broken("parameter", nan), RunError);
    CHECK_NOTHROW(broken("gradient", 1.0));
  }
}
