#include "engine/ops/kappa_swiglu/kappa_swiglu.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

Tensors confident(const Tensors& x) {
  return {kappa_swiglu({.gate = x[0], .up = x[1], .bias = x[2], .slope_max = x[3], .confidence = x[4], .scale = x[5]})};
}
Tensors constant(const Tensors& x) { return {kappa_swiglu({.gate = x[0], .up = x[1], .bias = x[2], .slope_max = x[3]})}; }

OpCase case_of(const char* what, int64_t e, int64_t s, int64_t f, double slope_max) {
  return {.op = "kappa_swiglu",
          .what = what,
          .inputs = {{Kind::activation, {e, s, f}},
                     {Kind::activation, {e, s, f}},
                     {Kind::parameter, {e, f}},
                     {Kind::wide_constant, {1}, 0, 0, {slope_max}},
                     {Kind::wide_activation, {e, s}},
                     {Kind::parameter, {e, f}}},
          .call = confident,
          .bf16_roundings = 8,  // κ is rounded too, and its derivative is steep in g
          .bf16_terms = 0x1p-7};
}

OpCase constant_case() {
  OpCase c = case_of("no confidence, as in a dense layer", 1, 9, 131, 3);
  c.inputs.erase(c.inputs.begin() + 4, c.inputs.end());
  c.call = constant;
  return c;
}

const Case one{case_of("one element", 1, 1, 1, 4)},
    ragged{case_of("ragged, over a tile of slots and a run of units", 3, 70, 150, 4)}, flat{case_of("U = 1", 2, 3, 7, 1)},
    dense{constant_case()};

}  // namespace

TEST_CASE("kappa_swiglu: with U = 1 the gate is SiLU whatever the parameters") {
  std::mt19937_64 random(5);
  Tensors x{Tensor::empty({2, 3, 4}, DType::f64), Tensor::empty({2, 3, 4}, DType::f64), Tensor::empty({2, 4}, DType::f64),
            Tensor::empty({1}, DType::f64),       Tensor::empty({2, 3}, DType::f64),    Tensor::empty({2, 4}, DType::f64)};
  for (const Tensor& t : x) set_values(t, random_values(t.size(), random));
  set_values(x[3], {1});
  const auto h = to_doubles(confident(x)[0]), g = to_doubles(x[0]), u = to_doubles(x[1]);
  for (size_t i = 0; i < h.size(); ++i) REQUIRE(h[i] == Approx(g[i] / (1 + std::exp(-g[i])) * u[i]).epsilon(1e-14));
}

TEST_CASE("kappa_swiglu: the slope follows exp(ln U · tanh z)") {  // the spec's vector 28: z, U, κ
  for (const auto& [z, slope_max, kappa] :
       std::vector<std::array<double, 3>>{{-1, 4, 0.3479161822}, {0, 4, 1}, {0.5, 4, 1.8976768154}, {1, 3, 2.3087279427}}) {
    Tensors x{Tensor::empty({1, 1, 1}, DType::f64), Tensor::empty({1, 1, 1}, DType::f64), Tensor::empty({1, 1}, DType::f64),
              Tensor::empty({1}, DType::f64)};
    set_values(x[0], {0.7}), set_values(x[1], {1}), set_values(x[2], {z}), set_values(x[3], {slope_max});
    REQUIRE(to_doubles(constant(x)[0])[0] == Approx(0.7 / (1 + std::exp(-0.7 * kappa))).epsilon(1e-9));
  }
}

TEST_CASE("kappa_swiglu: a shape that does not fit is named") {
  Tensors x{Tensor::empty({2, 3, 4}, DType::f64), Tensor::empty({2, 3, 4}, DType::f64), Tensor::empty({4, 2}, DType::f64),
            Tensor::empty({1}, DType::f64)};
  REQUIRE_THROWS_WITH(constant(x), "kappa_swiglu: bias must be [2, 4], found [4, 2]");
}
