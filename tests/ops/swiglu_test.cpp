#include "engine/ops/swiglu/swiglu.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, Shape shape) {
  return {.op = "swiglu",
          .what = what,
          .inputs = {{Kind::activation, shape, -4, 4}, {Kind::activation, shape}},
          .call = [](const Tensors& x) { return Tensors{swiglu(x[0], x[1])}; }};
}
const Case one{case_of("one element", {1})}, ragged{case_of("over a grain", {3, 3001})};

}  // namespace

TEST_CASE("swiglu: known values") {
  const Tensor g = Tensor::empty({3}, DType::f64), u = Tensor::empty({3}, DType::f64);
  set_values(g, {0, 1, -30}), set_values(u, {5, 2, 1});
  const auto h = to_doubles(swiglu(g, u));
  REQUIRE(h[0] == 0);
  REQUIRE(h[1] == Approx(2 / (1 + std::exp(-1.0))).epsilon(1e-15));
  REQUIRE(h[2] == Approx(-30 * std::exp(-30.0)).epsilon(1e-12));
}

TEST_CASE("swiglu: shapes must agree") {
  REQUIRE_THROWS_WITH(swiglu(Tensor::empty({3}, DType::f32), Tensor::empty({4}, DType::f32)),
                      "swiglu: up must be [3], found [4]");
}
