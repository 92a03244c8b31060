#include "engine/ops/ema_rms/ema_rms.h"

#include <limits>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, double target, double ready) {
  constexpr auto fixed = Kind::wide_constant;
  return {
      .op = "rms_floor",
      .what = what,
      .inputs = {{Kind::parameter, {7}}, {fixed, {1}}, {fixed, {1}, 0, 0, {target}}, integers({1}, {1}), integers({1}, {ready})},
      .call = [](const Tensors& x) {
        return Tensors{rms_floor(x[0], {x[1], x[2], x[3], x[4]}, 0.9)};
      }};
}
const Case below{case_of("below the floor", 5, 1)}, above{case_of("above the floor", 0.25, 1)}, early{case_of("not ready", 5, 0)};

Tensor of(const std::vector<double>& values, DType dtype = DType::f64) {
  const Tensor t = Tensor::empty({int64_t(values.size())}, dtype);
  set_values(t, values);
  return t;
}
EmaRmsKeeper fresh_keeper() { return {of({0}), of({0}), of({0}, DType::i32), of({0}, DType::i32)}; }
double value(const Tensor& t) { return to_doubles(t)[0]; }

}  // namespace

TEST_CASE("ema_rms: the spec's vector 80, a target that stays") {
  const EmaRmsKeeper keeper = fresh_keeper();
  advance(keeper, of({2}), {0.99, true}, "x");
  REQUIRE(value(rms_floor(of({2}), keeper, 0.8)) == 0);
  advance(keeper, of({0.5}), {0.99, false}, "x");
  REQUIRE(value(rms_floor(of({0.5}), keeper, 0.8)) == Approx(1.21).epsilon(1e-10));
}

TEST_CASE("ema_rms: the spec's vector 82, a whole sequence") {
  struct Step {
    double a, b;
    bool collecting;
    double ema, target, loss;
  };
  const EmaRmsKeeper keeper = fresh_keeper();
  for (const Step& s :
       {Step{.1, .1, false, 0.1, 0, 0}, Step{1, -1, false, 0.19, 0, 0}, Step{.3, .4, true, 0.206355339, 0.206355339, 0},
        Step{2, 2, true, 0.385719805, 0.385719805, 0}, Step{.1, .1, false, 0.357147825, 0.385719805, 0.06108204722}}) {
    const Tensor x = of({s.a, s.b});
    advance(keeper, x, {0.9, s.collecting}, "x");
    CHECK(value(keeper.ema) == Approx(s.ema).epsilon(1e-8));
    CHECK(value(keeper.target) == Approx(s.target).epsilon(1e-8));
    CHECK(value(rms_floor(x, keeper, 0.9)) == Approx(s.loss).epsilon(1e-8));
  }
}

TEST_CASE("ema_rms: a value that is not finite stops the run by name") {
  REQUIRE_THROWS_WITH(advance(fresh_keeper(), of({std::numeric_limits<double>::quiet_NaN()}), {0.9, false}, "h.0.kappa_bias"),
                      contains("h.0.kappa_bias"));
}
