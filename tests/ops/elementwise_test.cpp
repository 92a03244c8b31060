#include "engine/ops/elementwise/elementwise.h"

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

constexpr auto x = Kind::activation;
const Shape long_shape{3, 6001};  // over a grain

const Case cases[] = {
    Case{{.op = "add",
          .what = "ragged",
          .inputs = {{x, long_shape}, {x, long_shape}},
          .call = [](const Tensors& in) { return Tensors{add(in[0], in[1])}; }}},
    Case{{.op = "add",
          .what = "a tensor with itself",
          .inputs = {{x, {3}}},
          .call =
              [](const Tensors& in) {
                return Tensors{relu_squared(in[0]), multiply(in[0], in[0]), add(in[0], in[0])};
              },
          .bf16_roundings = 4}},
    Case{{.op = "add",
          .what = "a narrower addend",
          .inputs = {{Kind::wide_activation, long_shape}, {x, long_shape}},
          .call = [](const Tensors& in) { return Tensors{add(in[0], in[1])}; }}},
    Case{{.op = "multiply",
          .what = "ragged",
          .inputs = {{x, long_shape}, {x, long_shape}},
          .call = [](const Tensors& in) { return Tensors{multiply(in[0], in[1])}; }}},
    Case{{.op = "relu_squared",
          .what = "both sides of zero",
          .inputs = {{x, long_shape}},
          .call = [](const Tensors& in) { return Tensors{relu_squared(in[0])}; }}},
    Case{{.op = "mix",
          .what = "ragged",
          .inputs = {{x, long_shape}, {x, long_shape}, {Kind::parameter, {1}}, {Kind::parameter, {1}}},
          .call = [](const Tensors& in) { return Tensors{mix(in[0], in[1], in[2], in[3])}; }}},
};

Tensor of(const std::vector<double>& values) {
  const Tensor t = Tensor::empty({int64_t(values.size())}, DType::f64);
  set_values(t, values);
  return t;
}
using Values = std::vector<double>;

}  // namespace

TEST_CASE("elementwise: known values") {
  REQUIRE(to_doubles(add(of({1, 2}), of({10, -2}))) == Values{11, 0});
  REQUIRE(to_doubles(multiply(of({1, 2}), of({10, -2}))) == Values{10, -4});
  REQUIRE(to_doubles(relu_squared(of({-3, 0, 3}))) == Values{0, 0, 9});
  REQUIRE(to_doubles(mix(of({1, 2}), of({10, 20}), of({2}), of({0.5}))) == Values{7, 14});
}

TEST_CASE("elementwise: shapes must agree") {
  REQUIRE_THROWS_WITH(add(of({1, 2}), of({1})), "add: b must be [2], found [1]");
  REQUIRE_THROWS_WITH(mix(of({1}), of({1}), of({1, 2}), of({1})), "mix: alpha must be [1], found [2]");
}
