// What parameters, gradients and optimizer state are kept as, and where updates of bfloat16 round.

#include <cmath>

#include "engine/autograd/tape.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"
#include "tests/train/matrix_problem.h"
#include "train/config.h"
#include "train/optimizers/adamw.h"

using namespace kappa;
using namespace kappa::test;

namespace {

double rounded(double x) { return float(bfloat16(float(x))); }

/// bfloat16 has 8 bits: neighbours are 2⁻⁷ of their value apart at most. float32's own error is a share of what was added up.
bool neighbours(double a, double b, double summands) {
  return std::abs(a - b) <= 0x1p-7 * std::max(std::abs(a), std::abs(b)) + 0x1p-22 * std::abs(summands);
}

struct Store {
  ParameterStore parameters;
  const Parameter& matrix = parameters.declare({.name = "w", .shape = {2, 3}, .init = Init::uniform(1)});
  const Parameter& embedding =
      parameters.declare({.name = "wte", .shape = {4, 2}, .init = Init::normal(1), .role = Role::embedding});
  const Parameter& kappa = parameters.declare({.name = "k", .shape = {3}, .init = Init::normal(1), .role = Role::kappa});
  explicit Store(Precision precision) {
    const Storage storage = storage_of(precision);
    parameters.allocate(storage.compute, storage.narrow);
    parameters.initialize(1);
  }
};

void add_to_gradient(const Tensor& x, int64_t i, float value) {
  if (const GradOut<float> gradient = contribute<float>(x))
    gradient.put(i, value);
  else
    FAIL("nobody wants the gradient");
}

}  // namespace

TEST_CASE("precision: what is kept in which type") {
  struct Row {
    Precision precision;
    DType matrix_master, matrix_value, embedding_master, embedding_value, kappa_master;
  };
  constexpr DType f32 = DType::f32, bf16 = DType::bf16;
  const auto row =
      GENERATE(Row{Precision::float32, f32, f32, f32, f32, f32}, Row{Precision::mixed, f32, bf16, f32, bf16, f32},
               Row{Precision::bfloat16, bf16, bf16, bf16, bf16, bf16}, Row{Precision::june, f32, bf16, bf16, bf16, f32});
  const Store store(row.precision);
  CHECK(store.matrix.master.dtype() == row.matrix_master);
  CHECK(store.matrix.value.dtype() == row.matrix_value);
  CHECK(store.embedding.master.dtype() == row.embedding_master);
  CHECK(store.embedding.value.dtype() == row.embedding_value);
  CHECK(store.kappa.master.dtype() == row.kappa_master);
  CHECK(store.kappa.value.dtype() == f32);  // κ is always computed in full
  for (const Parameter* p : {&store.matrix, &store.embedding, &store.kappa}) {
    CHECK(p->master.gradient()->dtype == p->master.dtype());
    CHECK(p->value.gradient()->dtype == f32);
    const auto master = to_doubles(p->master), value = to_doubles(p->value);
    for (size_t i = 0; i < master.size(); ++i) CHECK(value[i] == (p->value.dtype() == bf16 ? rounded(master[i]) : master[i]));
  }
}

TEST_CASE("precision: gradients of narrow parameters are rounded and added up after every micro-batch") {
  Store store(Precision::bfloat16);
  const double parts[] = {0.1, 0.017, -0.0333};
  double sum = 0;
  for (const double part : parts) {
    add_to_gradient(store.matrix.value, 4, float(part));
    store.parameters.settle_gradients();
    sum = rounded(sum + rounded(part));
  }
  CHECK(gradient_of(store.matrix.master)[4] == sum);
  CHECK(gradient_of(store.matrix.value)[4] == 0);
  CHECK(store.parameters.gradient_norm() == Approx(std::abs(sum)));
  store.parameters.zero_gradients();
  CHECK(store.parameters.gradient_norm() == 0);

  Store wide(Precision::mixed);
  add_to_gradient(wide.matrix.value, 4, 0.1f);
  wide.parameters.settle_gradients();
  CHECK(gradient_of(wide.matrix.master)[4] == double(0.1f));
}

TEST_CASE("precision: AdamW on bfloat16 rounds where it stores, or in every operation") {
  const AdamWRates rates{.lr = 0.0371, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10, .weight_decay = 0.13};
  constexpr int64_t n = 200;
  std::mt19937_64 random(5);
  const auto start = random_values(n, random);
  for (const OptimizerRounding rounding : {OptimizerRounding::once, OptimizerRounding::each_op}) {
    const bool each = rounding == OptimizerRounding::each_op;
    INFO((each ? "each op" : "once"));
    const auto op = [&](double x) { return each ? rounded(x) : x; };
    AdamWTensors t{.name = "wte",
                   .parameter = parameter({n}, DType::bf16, DType::bf16),
                   .first_moment = Tensor::zeros({n}, DType::bf16),
                   .second_moment = Tensor::zeros({n}, DType::bf16),
                   .updates = Tensor::zeros({1}, DType::i32)};
    set_values(t.parameter, start);
    std::vector<double> p = to_doubles(t.parameter), m(n), v(n);
    for (int c = 1; c <= 3; ++c) {
      set_gradient(t.parameter, random_values(n, random));
      const auto g = gradient_of(t.parameter);
      adamw_step(t, rates, rounding);
      const double decay = op(1 - rates.lr * rates.weight_decay), gain1 = op(1 - rates.beta1), gain2 = op(1 - rates.beta2);
      const double step = op(rates.lr / (1 - std::pow(rates.beta1, c))), unbias = op(1 / (1 - std::pow(rates.beta2, c)));
      const auto new_p = to_doubles(t.parameter), new_m = to_doubles(t.first_moment), new_v = to_doubles(t.second_moment);
      for (size_t i = 0; i < n; ++i) {
        const double mean = m[i] + gain1 * (g[i] - m[i]), square = v[i] + gain2 * (op(g[i] * g[i]) - v[i]);
        const double wide_m = op(mean), wide_v = op(square);
        const double expected =
            op(op(p[i] * decay) - op(op(step * wide_m) / op(op(std::sqrt(op(wide_v * unbias))) + op(rates.eps))));
        // A double that lies between two bfloat16s, where float32 does not see on which side, may go to either.
        CHECK(neighbours(new_m[i], rounded(mean), std::abs(m[i]) + std::abs(g[i])));
        CHECK(neighbours(new_v[i], rounded(square), v[i] + g[i] * g[i]));
        CHECK(std::abs(new_p[i] - rounded(expected)) <= 0x1p-7 * std::max(std::abs(p[i]), std::abs(step)));
        if (!each) CHECK(std::abs(new_p[i] - expected) <= 0x1p-8 * std::abs(expected) + 1e-6);
        p[i] = new_p[i], m[i] = new_m[i], v[i] = new_v[i];
      }
    }
  }
}

TEST_CASE("precision: a bfloat16 of 1 cannot move up by a small step, and down to its neighbour") {
  const auto moved = [](double gradient) {
    AdamWTensors t{.name = "resid_lambdas",
                   .parameter = parameter({1}, DType::bf16, DType::bf16),
                   .first_moment = Tensor::zeros({1}, DType::bf16),
                   .second_moment = Tensor::zeros({1}, DType::bf16),
                   .updates = Tensor::zeros({1}, DType::i32)};
    set_values(t.parameter, {1});
    set_gradient(t.parameter, {gradient});
    adamw_step(t, {.lr = 0.00353553, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-10});
    return to_doubles(t.parameter)[0];
  };
  CHECK(moved(-1) == 1);
  CHECK(moved(1) == 0.99609375);
}

TEST_CASE("precision: matrix optimizers on bfloat16 stay near the exact step") {
  std::mt19937_64 random(3);
  const auto optimizer = GENERATE(MatrixOptimizer::aurora, MatrixOptimizer::muon);
  const auto shape = GENERATE(Shape{3, 48, 200}, Shape{2, 130, 40}, Shape{33, 33});
  const auto start = random_values(shape.size(), random, -0.1, 0.1);
  const MatrixTensors exact = matrix_tensors(shape, DType::f64, start);
  const MatrixTensors mixed = matrix_tensors(shape, DType::f32, start), narrow = matrix_tensors(shape, DType::bf16, start);
  const MatrixTensors each = matrix_tensors(shape, DType::bf16, start);
  const MatrixRates rates{.lr = 1, .weight_decay = 0, .momentum = 0.95, .scale = 1};  // the update in the parameter's place
  for (const MatrixTensors* t : {&exact, &mixed, &narrow, &each}) set_values(t->parameter, std::vector<double>(start.size(), 0));
  const auto g = random_values(shape.size(), random);
  for (const MatrixTensors* t : {&exact, &mixed, &narrow, &each}) set_gradient(t->parameter, g);
  matrix_step({optimizer}, std::span(&exact, 1), rates);
  matrix_step({optimizer, true}, std::span(&mixed, 1), rates);
  matrix_step({optimizer, true}, std::span(&narrow, 1), rates);
  matrix_step({optimizer, true, OptimizerRounding::each_op}, std::span(&each, 1), rates);
  const auto expected = to_doubles(exact.parameter);
  // Ten roundings of 2⁻⁹ each, grown by the iterations: bfloat16's own error on such matrices is 0.005 to 0.023.
  CHECK(relative_distance(to_doubles(mixed.parameter), expected) < 0.03);
  CHECK(relative_distance(to_doubles(narrow.parameter), expected) < 0.03);
  CHECK(relative_distance(to_doubles(each.parameter), expected) < 0.03);
  CHECK(relative_distance(to_doubles(mixed.parameter), expected) > 1e-4);  // it was not computed in float32
}

TEST_CASE("precision: weight decay vanishes where 1 - lr wd is rounded") {
  const MatrixRates rates{.lr = 0.00707, .weight_decay = 0.1125, .momentum = 0.95};
  for (const OptimizerRounding rounding : {OptimizerRounding::once, OptimizerRounding::each_op}) {
    const MatrixTensors t = matrix_tensors({64, 64}, DType::bf16, std::vector<double>(4096, 0.5));
    std::vector<double> values(4096);
    for (size_t i = 0; i < values.size(); ++i) values[i] = 0.5 + double(i) / 8192;
    set_values(t.parameter, values);
    const auto before = to_doubles(t.parameter);
    set_gradient(t.parameter, std::vector<double>(4096, 0));
    for (int i = 0; i < 40; ++i) matrix_step({MatrixOptimizer::aurora, true, rounding}, std::span(&t, 1), rates);
    CHECK(to_doubles(t.parameter) == before);  // a relative 8e-4 is less than half of a bfloat16's last place either way
  }
  // A larger decay shows: once rounded it acts on every value, in every op its factor is that of the nearest bfloat16.
  const MatrixRates larger{.lr = 0.05, .weight_decay = 0.1, .momentum = 0.95};
  const MatrixTensors once = matrix_tensors({1, 1}, DType::bf16, {0.75}), each = matrix_tensors({1, 1}, DType::bf16, {0.75});
  set_gradient(once.parameter, {0}), set_gradient(each.parameter, {0});
  matrix_step({MatrixOptimizer::aurora, true, OptimizerRounding::once}, std::span(&once, 1), larger);
  matrix_step({MatrixOptimizer::aurora, true, OptimizerRounding::each_op}, std::span(&each, 1), larger);
  CHECK(to_doubles(once.parameter)[0] == rounded(0.75 * (1 - 0.005)));
  CHECK(to_doubles(each.parameter)[0] == rounded(0.75 * rounded(1 - rounded(rounded(0.05) * rounded(0.1)))));
}
