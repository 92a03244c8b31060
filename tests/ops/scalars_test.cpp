#include "engine/ops/scalars/scalars.h"

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

constexpr auto parameter_kind = Kind::parameter;
constexpr auto wide_kind = Kind::wide_activation;
constexpr auto fixed = Kind::wide_constant;

OpCase expand_case(const char* what, Shape shape, double factor) {
  return {.op = "expand", .what = what, .inputs = {{parameter_kind, shape}}, .call = [factor](const Tensors& x) {
            return Tensors{expand(x[0], 3, 5, factor)};
          }};
}

/// −1, 0, 1, −1, …
std::vector<double> some_targets(int n) {
  std::vector<double> targets(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) targets[size_t(i)] = i % 3 - 1;
  return targets;
}

const Case cases[] = {
    Case{{.op = "mean_square",
          .what = "over a block",
          .inputs = {{parameter_kind, {2, 5001}}},
          .call = [](const Tensors& x) { return Tensors{mean_square(x[0])}; }}},
    Case{{.op = "weighted_sum",
          .what = "three terms",
          .inputs = {{wide_kind, {1}}, {wide_kind, {1}}, {wide_kind, {1}}, {fixed, {3}}},
          .call = [](const Tensors& x) { return Tensors{weighted_sum(std::span(x).first(3), x[3])}; }}},
    Case{{.op = "masked_mean",
          .what = "some ignored",
          .inputs = {{wide_kind, {5}}, integers({5}, {3, -1, 0, 7, -1})},
          .call = [](const Tensors& x) { return Tensors{masked_mean(x[0], x[1])}; }}},
    Case{{.op = "masked_mean",
          .what = "some ignored, over a block",
          .inputs = {{wide_kind, {10001}}, integers({10001}, some_targets(10001))},
          .call = [](const Tensors& x) { return Tensors{masked_mean(x[0], x[1])}; }}},
    Case{{.op = "masked_mean",
          .what = "all ignored",
          .inputs = {{wide_kind, {2}}, integers({2}, {-1, -1})},
          .call = [](const Tensors& x) { return Tensors{masked_mean(x[0], x[1])}; }}},
    Case{expand_case("every element, scaled", {3, 5}, 0.5)},
    Case{expand_case("one a row", {3}, 2)},
    Case{expand_case("one for all", {1}, 1)},
};

Tensor of(const std::vector<double>& values, DType dtype = DType::f64) {
  const Tensor t = Tensor::empty({int64_t(values.size())}, dtype);
  set_values(t, values);
  return t;
}
double value(const Tensor& t) { return to_doubles(t)[0]; }

}  // namespace

TEST_CASE("scalars: known values") {
  REQUIRE(value(mean_square(of({1, 2, 3, 4}))) == 7.5);
  const Tensors terms{of({1}), of({10})};
  REQUIRE(value(weighted_sum(terms, of({3, 0.5}))) == 8);
  REQUIRE(value(masked_mean(of({1, 100, 3}), of({0, -1, 5}, DType::i32))) == 2);
  REQUIRE(value(masked_mean(of({1, 100}), of({-1, -1}, DType::i32))) == 0);
  REQUIRE(to_doubles(expand(of({1, 2}), 2, 2, 3)) == std::vector<double>{3, 3, 6, 6});
  REQUIRE(to_doubles(expand(of({1, 2, 3, 4}), 2, 2, 1)) == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("expand: a size that fits no granularity is an error") {
  REQUIRE_THROWS_WITH(expand(of({1, 2, 3}), 2, 2, 1), "expand: 3 elements cannot be spread over [2, 2]");
}
