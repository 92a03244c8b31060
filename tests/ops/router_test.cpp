#include <algorithm>
#include <cmath>

#include "engine/ops/router/router_gate.h"
#include "engine/ops/router/router_logits.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Numbers = std::vector<double>;

// ---- Cases

enum class Route { main, z, both };

OpCase logits_case(const char* what, int64_t tokens, int64_t experts, int64_t channels, Route route) {
  const double scale = route == Route::both ? 1 : 0.1;
  OpCase c{.op = "router_logits",
           .what = what,
           .inputs = {{Kind::activation, {tokens, channels}}, {Kind::weight, {experts, channels}}},
           .call = [=](const Tensors& x) -> Tensors {
             const RouterLogits logits = router_logits(x[0], x[1], scale);
             if (route == Route::both) return {logits.main, logits.z};
             return {route == Route::main ? logits.main : logits.z};
           }};
  if (route == Route::z) c.grad_factor = [=](size_t input) { return input == 0 ? scale : 1.0; };
  return c;
}

OpCase noise_case(const char* what, int64_t tokens, int64_t experts, Route route) {
  return {.op = "add_router_noise",
          .what = what,
          .inputs = {{Kind::wide_activation, {tokens, experts}},
                     {Kind::wide_activation, {tokens, experts}, -30, 30},
                     {Kind::wide_constant, {tokens, experts}}},
          .call = [=](const Tensors& x) -> Tensors {
            const RouterLogits noisy = add_router_noise({x[0], x[0]}, x[1], x[2]);
            if (route == Route::both) return {noisy.main, noisy.z};
            return {route == Route::main ? noisy.main : noisy.z};
          }};
}

/// Distinct experts for every token.
Numbers some_choices(int64_t tokens, int64_t experts, int64_t top_k) {
  std::mt19937_64 random(11);
  Numbers all;
  for (int64_t token = 0; token < tokens; ++token) {
    Numbers order(static_cast<size_t>(experts));
    for (size_t e = 0; e < order.size(); ++e) order[e] = double(e);
    std::shuffle(order.begin(), order.end(), random);
    all.insert(all.end(), order.begin(), order.begin() + top_k);
  }
  return all;
}

struct GateSizes {
  int64_t tokens, experts, top_k, capacity;
};

enum class Gate { probability, confidence, both };

OpCase gate_case(const char* what, GateSizes n, Confidence kind, Gate output) {
  const double scale = output == Gate::both ? 1 : 0.1;
  OpCase c{.op = "router_gate",
           .what = what,
           .inputs = {{Kind::wide_activation, {n.tokens, n.experts}},
                      integers({n.tokens, n.top_k}, some_choices(n.tokens, n.experts, n.top_k)),
                      {Kind::wide_constant, {n.experts}, 0.1, 2}},
           .call = [=](const Tensors& x) -> Tensors {
             const RouterGate gate = router_gate({.logits = x[0],
                                                  .routing = impose_routing(x[1], n.experts, n.capacity),
                                                  .kind = kind,
                                                  .factors = x[2],
                                                  .constant = 1.5,
                                                  .confidence_grad_scale = scale});
             if (output == Gate::both) return {gate.probability, gate.confidence};
             return {output == Gate::probability ? gate.probability : gate.confidence};
           }};
  if (output == Gate::confidence) c.grad_factor = [=](size_t) { return scale; };
  return c;
}

constexpr GateSizes drops{300, 7, 3, 90}, all_experts{9, 5, 5, 9}, top_1{20, 4, 1, 3}, single{1, 1, 1, 1};

const Case one{logits_case("one of each", 1, 1, 1, Route::both)}, both{logits_case("both gradients", 130, 9, 70, Route::both)},
    tiles{logits_case("over a tile", 2500, 7, 8, Route::both)},
    main_only{logits_case("the main gradient alone", 33, 5, 17, Route::main)},
    z_only{logits_case("the z-loss's gradient alone", 33, 5, 17, Route::z)},
    noise_one{noise_case("one of each", 1, 1, Route::both)},
    noise_both{noise_case("both gradients, over a tile", 2500, 7, Route::both)},
    noise_main{noise_case("the main gradient alone", 5, 3, Route::main)},
    noise_z{noise_case("the z-loss's gradient alone", 5, 3, Route::z)},
    gate_logits{gate_case("top_logits, with drops", drops, Confidence::top_logits, Gate::both)},
    gate_probs{gate_case("router_probs, with drops", drops, Confidence::router_probs, Gate::both)},
    gate_constant{gate_case("constant, with drops", drops, Confidence::constant, Gate::both)},
    gate_probability{gate_case("the probabilities' gradient alone", drops, Confidence::router_probs, Gate::probability)},
    gate_confidence{gate_case("the gradient of top_logits alone", drops, Confidence::top_logits, Gate::confidence)},
    gate_confidence_probs{gate_case("the gradient of router_probs alone", drops, Confidence::router_probs, Gate::confidence)},
    gate_all{gate_case("all experts selected", all_experts, Confidence::top_logits, Gate::both)},
    gate_top_1{gate_case("top 1", top_1, Confidence::top_logits, Gate::both)},
    gate_single{gate_case("one of each", single, Confidence::top_logits, Gate::both)};

// ---- Oracles

Tensor tensor_of(Shape shape, DType dtype, const Numbers& values) {
  const Tensor x = Tensor::empty(shape, dtype);
  set_values(x, values);
  return x;
}

Tensor tracked(Shape shape, const Numbers& values) { return tensor_of(shape, DType::f64, values).detach().track(); }

void seed(const Tensor& y, const Numbers& dy) {
  const GradOut<double> place = contribute<double>(y);
  for (int64_t i = 0; i < y.size(); ++i) place.put(i, dy[size_t(i)]);
}

bool close(const Numbers& a, const Numbers& b) { return a.size() == b.size() && relative_distance(a, b) <= 1e-13; }

}  // namespace

TEST_CASE("router_logits: the z-loss reaches the weight in full and the input scaled") {
  constexpr int64_t N = 6, E = 4, C = 5;
  std::mt19937_64 random(1);
  const Numbers x = random_values(N * C, random), w = random_values(E * C, random), dmain = random_values(N * E, random),
                dz = random_values(N * E, random);
  const Tensor tx = tracked({N, C}, x), tw = tracked({E, C}, w);
  Tape tape;
  const RouterLogits logits = router_logits(tx, tw, 0.1);
  REQUIRE(logits.main.raw() == logits.z.raw());
  seed(logits.main, dmain), seed(logits.z, dz);
  tape.run();

  Numbers l(N * E, 0), dx(N * C, 0), dw(E * C, 0);
  for (size_t n = 0; n < N; ++n)
    for (size_t e = 0; e < E; ++e)
      for (size_t c = 0; c < C; ++c) {
        l[n * E + e] += x[n * C + c] * w[e * C + c];
        dx[n * C + c] += (dmain[n * E + e] + 0.1 * dz[n * E + e]) * w[e * C + c];
        dw[e * C + c] += (dmain[n * E + e] + dz[n * E + e]) * x[n * C + c];
      }
  REQUIRE(close(to_doubles(logits.main), l));
  REQUIRE(close(gradient_of(tx), dx));
  REQUIRE(close(gradient_of(tw), dw));
}

TEST_CASE("router_logits: in bfloat16 too the input's second gradient is added") {
  const Tensor x = tensor_of({1, 2}, DType::bf16, {1, 2}).track(), w = tensor_of({3, 2}, DType::bf16, {1, 2, -1, 0.5, 3, -2});
  Tape tape;
  for (const float d : {1.0f, 0.5f}) {
    const GradOut<float> place = contribute<float>(router_logits(x, w, 1).main);
    for (int64_t e = 0; e < 3; ++e) place.put(e, d);
  }
  tape.run();
  REQUIRE(gradient_of(x) == Numbers{4.5, 0.75});
}

TEST_CASE("add_router_noise: each gradient goes on to its own") {
  const Numbers x{0.3, -0.7}, w{1, 2, -1, 0.5, 3, -2};
  for (const bool by_z : {false, true}) {
    const Tensor tx = tracked({1, 2}, x), tw = tracked({3, 2}, w);
    const Tensor scale = tensor_of({1, 3}, DType::f64, {-40, 0, 40}), normal = tensor_of({1, 3}, DType::f64, {0.5, -1, 2});
    Tape tape;
    const RouterLogits clean = router_logits(tx, tw, 0), noisy = add_router_noise(clean, scale, normal);
    const Numbers l = to_doubles(clean.main);
    REQUIRE(close(to_doubles(noisy.main), {l[0] + 0.5 * std::exp(-40), l[1] - std::log(2), l[2] + 80}));
    REQUIRE(noisy.main.raw() == noisy.z.raw());
    seed(by_z ? noisy.z : noisy.main, {1, 1, 1});
    tape.run();
    REQUIRE(close(gradient_of(tx), by_z ? Numbers{0, 0} : Numbers{3, 0.5}));  // nothing of z reaches x here
    REQUIRE(close(gradient_of(tw), {0.3, -0.7, 0.3, -0.7, 0.3, -0.7}));
  }
}

TEST_CASE("router_gate: a softmax over the selected, zero where dropped and not renormalised") {
  constexpr int64_t N = 4, E = 3, K = 2;
  const Numbers l{1, 2, 3, 0.5, -1, 2.5, 0, 0, 4, 1, -2, 0.25}, expert{2, 1, 2, 0, 2, 0, 0, 2};
  const Numbers factors{0.5, 2, 3};
  const Routing routing = impose_routing(tensor_of({N, K}, DType::i32, expert), E, 2);
  const std::vector<bool> dropped{false, false, false, false, true, true, false, true};
  for (const Confidence kind : {Confidence::top_logits, Confidence::router_probs, Confidence::constant}) {
    const RouterGate gate = router_gate({.logits = tensor_of({N, E}, DType::f64, l),
                                         .routing = routing,
                                         .kind = kind,
                                         .factors = tensor_of({E}, DType::f64, factors),
                                         .constant = 0.7});
    Numbers p(N * K), c(N * K);
    for (size_t a = 0; a < N * K; ++a) {
      const size_t token = a / K, other = a ^ 1;
      const double s = l[token * E + size_t(expert[a])], s_other = l[token * E + size_t(expert[other])];
      p[a] = 1 / (1 + std::exp(s_other - s));
      c[a] = kind == Confidence::top_logits ? factors[size_t(expert[a])] * s : kind == Confidence::router_probs ? 2 * p[a] : 0.7;
      if (dropped[a]) p[a] = 0;
      if (dropped[a] && kind != Confidence::constant) c[a] = 0;
    }
    REQUIRE(close(to_doubles(gate.probability), p));
    REQUIRE(close(to_doubles(gate.confidence), c));
  }
}

TEST_CASE("router_gate: no logit is too large") {
  const Routing routing = impose_routing(tensor_of({2, 2}, DType::i32, {0, 2, 2, 0}), 3, 4);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor logits = tensor_of({2, 3}, dtype, {2000, 0, -2000, 1500, 0, 1500});
    const RouterGate gate = router_gate({.logits = logits, .routing = routing, .kind = Confidence::router_probs, .factors = {}});
    REQUIRE(relative_distance(to_doubles(gate.probability), {1, 0, 0.5, 0.5}) <= 1e-7);
    REQUIRE(relative_distance(to_doubles(gate.confidence), {2, 0, 1, 1}) <= 1e-7);
  }
}

TEST_CASE("router_gate: of the confidence's gradient a part reaches the logits, and none of a constant's") {
  const Numbers dp{0.3, -0.5, 0.7, 0.2}, dc{1, -2, 0.5, 0.25};
  const auto gradient = [&](Confidence kind, double scale, bool with_p, bool with_c) {
    const Tensor logits = tracked({2, 3}, {1, 2, 3, 0.5, -1, 2.5});
    Tape tape;
    const RouterGate gate = router_gate({.logits = logits,
                                         .routing = impose_routing(tensor_of({2, 2}, DType::i32, {2, 1, 0, 2}), 3, 4),
                                         .kind = kind,
                                         .factors = tensor_of({3}, DType::f64, {0.5, 2, 3}),
                                         .confidence_grad_scale = scale});
    REQUIRE(gate.confidence.tracked() == (kind != Confidence::constant));
    if (with_p) seed(gate.probability, dp);
    if (with_c) seed(gate.confidence, dc);
    tape.run();
    return gradient_of(logits);
  };
  for (const Confidence kind : {Confidence::top_logits, Confidence::router_probs}) {
    const Numbers p = gradient(kind, 1, true, false), c = gradient(kind, 1, false, true);
    Numbers expected = p;
    for (size_t i = 0; i < p.size(); ++i) expected[i] += 0.1 * c[i];
    REQUIRE(close(gradient(kind, 0.1, true, true), expected));
    REQUIRE(close(gradient(kind, 0, true, true), p));
  }
  REQUIRE(close(gradient(Confidence::constant, 1, true, false), gradient(Confidence::router_probs, 1, true, false)));
}

TEST_CASE("confidence_factors: 6/(√C·ŵ^a·mean ŵ^(1−a)), and 0.3 without a norm") {
  constexpr int64_t E = 5, C = 7;
  std::mt19937_64 random(9);
  for (const double size : {1.0, 1e-3}) {  // of the smaller ones, the 1e-4 under the root is the larger part
    Numbers w = random_values(E * C, random, -size, size);
    for (double& v : w) v = float(bfloat16(float(v)));
    for (const double a : {0.5, 1.0, 0.25}) {
      Numbers norm(E), expected(E);
      double mean = 0;
      for (size_t e = 0; e < E; ++e) {
        double squares = 0;
        for (size_t c = 0; c < C; ++c) squares += w[e * C + c] * w[e * C + c];
        norm[e] = std::sqrt(squares + 1e-4);
        mean += std::pow(norm[e], 1 - a) / E;
      }
      for (size_t e = 0; e < E; ++e) expected[e] = 6 / (std::sqrt(7.0) * std::pow(norm[e], a) * mean);
      REQUIRE(close(to_doubles(confidence_factors(tensor_of({E, C}, DType::f64, w), a)), expected));
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Tensor factors = confidence_factors(tensor_of({E, C}, dtype, w), a);
        REQUIRE(factors.dtype() == DType::f32);
        REQUIRE(relative_distance(to_doubles(factors), expected) <= 0x1p-23);
      }
    }
    for (const double a : {0.0, -1.0})
      REQUIRE(to_doubles(confidence_factors(tensor_of({E, C}, DType::f64, w), a)) == Numbers(E, 0.3));
  }
}

TEST_CASE("router: what does not fit is named") {
  const Tensor l = Tensor::empty({2, 3}, DType::f64), wrong = Tensor::empty({3, 2}, DType::f64);
  REQUIRE_THROWS_WITH(router_logits(l, wrong, 1), "router_logits: weight must be [3, 3], found [3, 2]");
  REQUIRE_THROWS_WITH(add_router_noise({l, l}, wrong, l), "add_router_noise: scale_logits must be [2, 3], found [3, 2]");
  REQUIRE_THROWS_WITH(add_router_noise({l, l}, l, wrong), "add_router_noise: normal must be [2, 3], found [3, 2]");
  const Routing routing = impose_routing(tensor_of({2, 1}, DType::i32, {0, 2}), 3, 4);
  const auto gate = [&](const Tensor& logits, const Tensor& factors) {
    router_gate({.logits = logits, .routing = routing, .kind = Confidence::top_logits, .factors = factors});
  };
  const Tensor factors = Tensor::empty({3}, DType::f64);
  REQUIRE_THROWS_WITH(gate(wrong, factors), "router_gate: logits must be [3, 3], found [3, 2]");
  REQUIRE_THROWS_WITH(gate(Tensor::empty({5, 3}, DType::f64), factors),
                      "router_gate: routing.expert must be [5, 1], found [2, 1]");
  REQUIRE_THROWS_WITH(gate(l, Tensor()), "router_gate: factors must be [3], found [0]");
  REQUIRE_THROWS_WITH(confidence_factors(factors, 0.5),
                      "confidence_factors: router_weight must be [experts, channels], found [3]");
}
