#include "engine/ops/value_gate/value_gate.h"

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

Tensors call(const Tensors& x) { return {value_gate({.v = x[0], .embedding = x[1], .x = x[2], .weight = x[3]})}; }

OpCase case_of(const char* what, Shape v, Shape embedding, int64_t channels) {
  return {.op = "value_gate",
          .what = what,
          .inputs = {{Kind::activation, v},
                     {Kind::activation, embedding},
                     {Kind::activation, {v[0], v[1], channels}, -1, 1},
                     {Kind::weight, {v[2], 32}, -0.5, 0.5}},
          .call = call};
}

const Case one{case_of("one of all", {1, 1, 1, 1}, {1, 1, 1}, 32)},
    ragged{case_of("ragged, over a tile of tokens", {3, 45, 2, 7}, {3, 45, 14}, 45)},
    in_heads{case_of("value embedding in heads", {1, 9, 3, 5}, {1, 9, 3, 5}, 33)};

}  // namespace

TEST_CASE("value_gate: v + 2·sigmoid(x·w of 32 channels)·e, token by token") {
  constexpr int64_t batch = 2, tokens = 3, heads = 2, size = 5, channels = 40;
  std::mt19937_64 random(9);
  Tensors in{Tensor::empty({batch, tokens, heads, size}, DType::f64), Tensor::empty({batch, tokens, heads * size}, DType::f64),
             Tensor::empty({batch, tokens, channels}, DType::f64), Tensor::empty({heads, 32}, DType::f64)};
  for (const Tensor& t : in) set_values(t, random_values(t.size(), random, -1, 1));
  const auto v = to_doubles(in[0]), e = to_doubles(in[1]), x = to_doubles(in[2]), w = to_doubles(in[3]);
  const auto y = to_doubles(call(in)[0]);
  for (int64_t token = 0; token < batch * tokens; ++token)
    for (int64_t h = 0; h < heads; ++h) {
      double z = 0;
      for (int64_t c = 0; c < 32; ++c) z += x[size_t(token * channels + c)] * w[size_t(h * 32 + c)];
      for (int64_t d = 0; d < size; ++d) {
        const size_t i = size_t((token * heads + h) * size + d);
        REQUIRE(y[i] == Approx(v[i] + 2 / (1 + std::exp(-z)) * e[i]).epsilon(1e-14));
      }
    }
}

TEST_CASE("value_gate: a gate at its end neither overflows nor moves") {
  for (const double z : {-1e6, 1e6}) {
    Tensors in{Tensor::zeros({1, 1, 1, 1}, DType::f32), Tensor::zeros({1, 1, 1}, DType::f32),
               Tensor::zeros({1, 1, 32}, DType::f32), Tensor::zeros({1, 32}, DType::f32)};
    in[1].data<float>()[0] = 3, in[2].data<float>()[31] = float(z), in[3].data<float>()[31] = 1;
    for (Tensor& t : in) t.track();
    Tape tape;
    const Tensor y = call(in)[0];
    contribute<float>(y).put(0, 1);
    tape.run();
    REQUIRE(to_doubles(y)[0] == Approx(z < 0 ? 0 : 6).margin(1e-30));
    REQUIRE(gradient_of(in[1])[0] == Approx(z < 0 ? 0 : 2).margin(1e-30));
    for (double dx : gradient_of(in[2])) REQUIRE(std::abs(dx) <= 1e-30);
  }
}

TEST_CASE("value_gate: channels that the gate does not look at keep the gradient they have") {
  std::mt19937_64 random(4);
  Tensors in{Tensor::empty({1, 2, 1, 3}, DType::f64), Tensor::empty({1, 2, 3}, DType::f64), Tensor::empty({1, 2, 40}, DType::f64),
             Tensor::empty({1, 32}, DType::f64)};
  for (Tensor& t : in) set_values(t.track(), random_values(t.size(), random, -1, 1));
  Tape tape;
  const Tensor y = call(in)[0];
  const GradOut<double> dy = contribute<double>(y), dx = contribute<double>(in[2]);
  for (int64_t i = 0; i < y.size(); ++i) dy.put(i, 1);
  for (int64_t i = 0; i < in[2].size(); ++i) dx.put(i, 7);
  tape.run();
  const auto gradient = gradient_of(in[2]);
  for (size_t i = 0; i < gradient.size(); ++i) REQUIRE((gradient[i] == 7) == (i % 40 >= 32));
}

TEST_CASE("value_gate: arguments that do not fit are named") {
  const auto of = [](Shape shape) { return Tensor::empty(shape, DType::f32); };
  const Tensor v = of({2, 3, 4, 5}), e = of({2, 3, 20}), x = of({2, 3, 32}), w = of({4, 32});
  REQUIRE_NOTHROW(call({v, e, x, w}));
  REQUIRE_THROWS_WITH(call({v.reshape({6, 4, 5}), e, x, w}),
                      "value_gate: v must be [batch, tokens, kv heads, head size], found [6, 4, 5]");
  REQUIRE_THROWS_WITH(call({v, of({2, 3, 21}), x, w}), "value_gate: embedding must be [2, 3, 20], found [2, 3, 21]");
  REQUIRE_THROWS_WITH(call({v, of({2, 3, 5, 4}), x, w}), "value_gate: embedding must be [2, 3, 4, 5], found [2, 3, 5, 4]");
  REQUIRE_THROWS_WITH(call({v, e, of({2, 3, 31}), w}),
                      "value_gate: x must be [batch, tokens, channels] with at least 32 channels, found [2, 3, 31]");
  REQUIRE_THROWS_WITH(call({v, e, of({3, 2, 32}), w}), "value_gate: x must be [2, 3, 32], found [3, 2, 32]");
  REQUIRE_THROWS_WITH(call({v, e, x, of({32, 4})}), "value_gate: weight must be [4, 32], found [32, 4]");
}
