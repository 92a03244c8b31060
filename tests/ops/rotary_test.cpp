#include "engine/ops/rotary/rotary.h"

#include <complex>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, Shape shape, int64_t positions, int64_t offset) {
  return {.op = "rotary", .what = what, .inputs = {{Kind::activation, shape}}, .call = [=](const Tensors& x) {
            return Tensors{rotary(x[0], rotary_tables(positions, shape[3], x[0].dtype(), Device::cpu), offset)};
          }};
}

const Case one{case_of("one token, one head, two channels", {1, 1, 1, 2}, 1, 0)},
    ragged{case_of("ragged", {2, 19, 3, 10}, 19, 0)}, later{case_of("from a later position", {3, 7, 2, 34}, 50, 41)};

double as_bf16(double value) { return float(bfloat16(float(value))); }

}  // namespace

TEST_CASE("rotary: tables are the cosines and sines of t·10000^(-2j/D), rounded to bfloat16") {
  constexpr int64_t positions = 600, head_size = 64;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const RotaryTables tables = rotary_tables(positions, head_size, dtype, Device::cpu);
    REQUIRE(tables.cos.dtype() == wide(dtype));
    REQUIRE(tables.cos.shape() == Shape{positions, head_size / 2});
    REQUIRE(tables.sin.shape() == Shape{positions, head_size / 2});
    const auto cos = to_doubles(tables.cos), sin = to_doubles(tables.sin);
    for (size_t i = 0; i < cos.size(); ++i) {
      const size_t pairs = size_t(head_size) / 2, position = i / pairs, pair = i % pairs;
      const double t = double(position), j = double(pair);
      const double angle = t * std::pow(10000.0, -2 * j / head_size);
      // Rounding to the 8 bits of bfloat16, and three float32 roundings of the angle.
      const double slack = angle * 3 * 0x1p-24;
      REQUIRE(std::abs(cos[i] - std::cos(angle)) <= std::abs(std::cos(angle)) * 0x1p-8 + slack);
      REQUIRE(std::abs(sin[i] - std::sin(angle)) <= std::abs(std::sin(angle)) * 0x1p-8 + slack);
      REQUIRE(cos[i] == as_bf16(cos[i]));
      REQUIRE(sin[i] == as_bf16(sin[i]));
    }
  }
}

TEST_CASE("rotary: the halves of a head are turned as complex numbers, clockwise") {
  constexpr int64_t batch = 2, tokens = 5, heads = 3, head_size = 6, half = head_size / 2, offset = 4;
  std::mt19937_64 random(2);
  const Tensor x = Tensor::empty({batch, tokens, heads, head_size}, DType::f64);
  set_values(x, random_values(x.size(), random));
  const auto in = to_doubles(x), out = to_doubles(rotary(x, rotary_tables(20, head_size, DType::f64, Device::cpu), offset));
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t j = 0; j < half; ++j) {
          const size_t first = size_t(((b * tokens + t) * heads + h) * head_size + j), second = first + half;
          const double angle = double(offset + t) * std::pow(10000.0, -2.0 * double(j) / head_size);
          const std::complex<double> turn(as_bf16(std::cos(angle)), -as_bf16(std::sin(angle)));
          const std::complex<double> turned = std::complex(in[first], in[second]) * turn;
          REQUIRE(out[first] == Approx(turned.real()).epsilon(1e-14).margin(1e-14));
          REQUIRE(out[second] == Approx(turned.imag()).epsilon(1e-14).margin(1e-14));
        }
}

TEST_CASE("rotary: what does not fit the tables is refused") {
  const RotaryTables tables = rotary_tables(8, 6, DType::f32, Device::cpu);
  const auto x = [](Shape shape, DType dtype = DType::f32) { return Tensor::empty(shape, dtype); };
  REQUIRE_THROWS_WITH(rotary(x({1, 5, 2, 6}), tables, 4), "rotary: the tables have positions 0..7, wanted are 4..8");
  REQUIRE_THROWS_WITH(rotary(x({1, 5, 2, 6}), tables, -1), "rotary: the tables have positions 0..7, wanted are -1..3");
  REQUIRE_THROWS_WITH(rotary(x({1, 5, 2, 4}), tables), "rotary: tables.cos must be [8, 2], found [8, 3]");
  REQUIRE_THROWS_WITH(rotary(x({1, 5, 2, 6}, DType::f64), tables), "rotary: tables.cos must be float64, found float32");
  REQUIRE_THROWS_WITH(rotary(x({1, 5, 2, 5}), tables),
                      "rotary: x must be [batch, tokens, heads, an even head size], found [1, 5, 2, 5]");
  REQUIRE_THROWS_WITH(rotary_tables(8, 5, DType::f32, Device::cpu), "rotary_tables: the head size must be even, found 5");
}
