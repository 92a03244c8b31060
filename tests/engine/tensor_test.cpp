#include "engine/autograd/tape.h"
#include "engine/core/element.h"
#include "engine/core/vector_math.h"
#include "engine/device/thread_pool.h"
#include "engine/nn/parameter.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

TEST_CASE("bfloat16: rounds to nearest, halves to even, and keeps what is special") {
  const auto rounded = [](float x) { return float(bfloat16(x)); };
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(1.0f + 0x1p-8f) == 1.0f);                // half way: to even
  CHECK(rounded(1.0f + 3 * 0x1p-8f) == 1.0f + 0x1p-6f);  // half way: to even, upwards
  CHECK(rounded(1.0f + 0x1.02p-8f) == 1.0f + 0x1p-7f);   // above half way
  CHECK(rounded(3.4e38f) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001u))));  // a NaN whose upper half alone would be infinity
}

TEST_CASE("vector math: exp, tanh and the logistic function against the standard library") {
  double worst_exp = 0, worst_tanh = 0, worst_logistic = 0;
  for (int i = 0; i <= 14677; ++i) {
    const float x = -86 + 0.01171875f * float(i);
    worst_exp = std::max(worst_exp, std::abs(double(fast_exp(x)) / std::exp(double(x)) - 1));
    worst_logistic = std::max(worst_logistic, std::abs(double(logistic(x)) * (1 + std::exp(-double(x))) - 1));
    worst_tanh = std::max(worst_tanh, std::abs(double(fast_tanh(x / 8)) - std::tanh(double(x / 8))));
  }
  CHECK(worst_exp < 2e-7);
  CHECK(worst_logistic < 4e-7);
  CHECK(worst_tanh < 2e-7);
  CHECK(fast_exp(-1000.0f) < 2e-38f);
  CHECK(std::isfinite(fast_exp(1000.0f)));
  CHECK(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));  // what is wrong must stay so
}

TEST_CASE("tensor: views share the value, detached ones not the gradient") {
  Tensor x = Tensor::zeros({2, 3}, DType::f64).track();
  const Tensor flat = x.reshape({6});
  flat.data<double>()[4] = 7;
  CHECK(to_doubles(x)[4] == 7);
  CHECK(flat.gradient() == x.gradient());
  CHECK(!x.detach().tracked());
  CHECK_THROWS_WITH(x.reshape({5}), "reshape: [2, 3] has 6 elements, [5] has 5");
  CHECK_THROWS_AS(x.data<float>(), std::logic_error);
  CHECK_THROWS_AS(x.slice(0, 1), std::logic_error);  // an activation's gradient is not shared in parts
  CHECK_THROWS_WITH(x.detach().slice(1, 2), "slice: rows 1..3 of [2, 3]");
  CHECK(to_doubles(x.detach().slice(1, 1)) == std::vector<double>{0, 7, 0});
  CHECK_THROWS_WITH(Tensor::integers(std::vector<int32_t>{1, 2, 3}, {2}), "3 integers do not make a tensor [2]");
}

TEST_CASE("parameters: a bfloat16 model computes with copies, κ and the lambdas excepted, all gradients are wide") {
  ParameterStore store;
  const Parameter& matrix = store.declare({.name = "w", .shape = {2, 2}, .init = Init::uniform(1)});
  const Parameter& kappa = store.declare({.name = "k", .shape = {3}, .init = Init::ones(), .role = Role::kappa});
  store.allocate(DType::bf16);
  store.initialize(1);
  CHECK(matrix.value.dtype() == DType::bf16);
  CHECK(matrix.master.dtype() == DType::f32);
  CHECK(kappa.value.dtype() == DType::f32);
  for (int i = 0; i < 4; ++i) CHECK(float(matrix.value.data<bfloat16>()[i]) == float(bfloat16(matrix.master.data<float>()[i])));
  CHECK(store.count() == 7);

  contribute<float>(matrix.value).put(1, 0.5f);
  contribute<float>(matrix.value.slice(0, 1)).put(1, 0.25f);
  CHECK(matrix.master.grad<float>()[1] == 0.75f);
  store.zero_gradients();
  CHECK(matrix.master.grad<float>()[1] == 0);
}

TEST_CASE("parameters: first values are a function of seed and name alone") {
  const auto values = [](const std::string& name, uint64_t seed, bool with_another) {
    ParameterStore store;
    if (with_another) store.declare({.name = "another", .shape = {5}, .init = Init::normal(1)});
    const Parameter& p = store.declare({.name = name, .shape = {100}, .init = Init::normal(2)});
    store.allocate(DType::f32);
    store.initialize(seed);
    return to_doubles(p.master);
  };
  CHECK(values("a", 1, false) == values("a", 1, true));
  CHECK(values("a", 1, false) != values("a", 2, false));
  CHECK(values("a", 1, false) != values("b", 1, false));
}

TEST_CASE("parameters: first values, their copies and zeroed gradients are the same for any number of threads") {
  const int before = threads();
  const auto values = [](int thread_count) {
    set_threads(thread_count);
    ParameterStore store;
    const Parameter& p = store.declare({.name = "a", .shape = {9, 50001}, .init = Init::normal(2)});  // several tiles of each
    store.allocate(DType::bf16);
    store.initialize(1);
    const GradOut<float> gradient = contribute<float>(p.value);
    for (int64_t i = 0; i < p.value.size(); ++i) gradient.put(i, 1);
    store.zero_gradients();
    return std::vector{to_doubles(p.master), to_doubles(p.value), gradient_of(p.value)};
  };
  const auto alone = values(1), together = values(3);
  set_threads(before);
  CHECK((alone == together));
  CHECK((alone[2] == std::vector<double>(450009, 0)));
}
