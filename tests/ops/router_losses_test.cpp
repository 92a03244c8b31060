#include "engine/ops/router_losses/router_losses.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Numbers = std::vector<double>;

Tensor tensor_of(Shape shape, DType dtype, const Numbers& values) {
  const Tensor x = Tensor::empty(shape, dtype);
  set_values(x, values);
  return x;
}

Numbers some_choices(int64_t tokens, int64_t experts, int64_t top_k) {
  std::mt19937_64 random(31);
  Numbers all;
  for (int64_t token = 0; token < tokens; ++token) {
    const int64_t first = int64_t(random() % uint64_t(experts)) * int64_t(random() % 2);
    for (int64_t k = 0; k < top_k; ++k) all.push_back(double((first + k) % experts));
  }
  return all;
}

OpCase balancing_case(const char* what, int64_t tokens, int64_t experts, int64_t top_k) {
  return {.op = "load_balancing_loss",
          .what = what,
          .inputs = {{Kind::wide_activation, {tokens, experts}}, integers({tokens, top_k}, some_choices(tokens, experts, top_k))},
          .call = [=](const Tensors& x) -> Tensors { return {load_balancing_loss(x[0], impose_routing(x[1], experts, 4))}; }};
}

OpCase z_case(const char* what, int64_t tokens, int64_t experts, RouterZLoss options) {
  return {.op = "router_z_loss",
          .what = what,
          .inputs = {{Kind::wide_activation, {tokens, experts}, -3, 4}},
          .call = [=](const Tensors& x) -> Tensors { return {router_z_loss(x[0], options)}; }};
}

constexpr RouterZLoss full{.demean = true, .penalize_mean = true}, plain{.demean = false, .penalize_mean = false};

const Case balancing_one{balancing_case("one of each", 1, 1, 1)},
    balancing_ragged{balancing_case("over a block of tokens", 600, 7, 3)},
    balancing_many{balancing_case("many experts", 9, 160, 2)}, balancing_all{balancing_case("all experts selected", 5, 4, 4)},
    z_one{z_case("one of each", 1, 1, full)}, z_full{z_case("over a block of tokens", 600, 7, full)},
    z_many{z_case("many experts", 9, 160, full)}, z_plain{z_case("plain", 600, 7, plain)},
    z_demean{z_case("the mean taken out, not penalised", 70, 7, {.demean = true, .penalize_mean = false})},
    z_penalize{z_case("the mean penalised, not taken out", 70, 7, {.demean = false, .penalize_mean = true})};

double z_loss(Shape shape, const Numbers& logits, RouterZLoss options, DType dtype = DType::f64) {
  return to_doubles(router_z_loss(tensor_of(shape, dtype, logits), options))[0];
}

double balancing(int64_t tokens, int64_t experts, const Numbers& logits, const Routing& routing) {
  return to_doubles(load_balancing_loss(tensor_of({tokens, experts}, DType::f64, logits), routing))[0];
}

}  // namespace

TEST_CASE("router_z_loss: the spec's values") {  // vector 78
  const Numbers ascending{1, 2, 3, 4};
  CHECK(z_loss({1, 4}, ascending, full) == Approx(10.014336066402983).epsilon(1e-14));
  CHECK(z_loss({1, 4}, ascending, plain) == Approx(19.71528455920896).epsilon(1e-14));
  CHECK(z_loss({1, 64}, Numbers(64, 0.0), full) == Approx(17.296308501055247).epsilon(1e-14));
  CHECK(z_loss({2, 4}, {1, 2, 3, 4, 0, 0, 0, 0}, full) == Approx(5.968074061037894).epsilon(1e-14));
}

TEST_CASE("load_balancing_loss: the spec's values") {  // vector 79
  for (const auto& [logits, loss] :
       {std::pair{Numbers{1, 2, 3, 4, 4, 3, 2, 1}, 2.0}, {{1, 2, 3, 4, 1, 2, 3, 4}, 3.5231883119115297}}) {
    const Routing routing = route(tensor_of({2, 4}, DType::f64, logits), {}, 2, 4);
    CHECK(balancing(2, 4, logits, routing) == Approx(loss).epsilon(1e-14));
  }
}

TEST_CASE("load_balancing_loss: E·Σ P·f, with f counted before the capacity") {
  constexpr int64_t N = 700, E = 9, K = 2;
  std::mt19937_64 random(6);
  const Numbers l = random_values(N * E, random), expert = some_choices(N, E, K);
  Numbers P(E, 0), f(E, 0);
  for (size_t n = 0; n < N; ++n) {
    double sum = 0;
    for (size_t e = 0; e < E; ++e) sum += std::exp(l[n * E + e]);
    for (size_t e = 0; e < E; ++e) P[e] += std::exp(l[n * E + e]) / sum / N;
  }
  for (const double e : expert) f[size_t(e)] += 1.0 / N;
  double expected = 0;
  for (size_t e = 0; e < E; ++e) expected += E * P[e] * f[e];
  const Tensor chosen = tensor_of({N, K}, DType::i32, expert);
  CHECK(balancing(N, E, l, impose_routing(chosen, E, 1)) == Approx(expected).epsilon(1e-13));
  CHECK(balancing(N, E, l, impose_routing(chosen, E, N * K)) == Approx(expected).epsilon(1e-13));
}

TEST_CASE("router losses: no logit is too large and no batch too long for float32") {
  std::mt19937_64 random(9);
  Numbers l = random_values(64, random), shifted(64);
  for (size_t i = 0; i < 64; ++i) l[i] = std::round(l[i] * 1024) / 1024, shifted[i] = l[i] + 3000;  // exact in float32
  // A part common to all logits goes when the mean is taken out: nothing of it may be left over as rounding.
  const RouterZLoss demean{.demean = true, .penalize_mean = false};
  CHECK(z_loss({1, 64}, shifted, demean, DType::f32) == Approx(z_loss({1, 64}, l, demean)).epsilon(1e-6));
  CHECK(z_loss({1, 64}, shifted, plain, DType::f32) == Approx(z_loss({1, 64}, shifted, plain)).epsilon(1e-6));

  constexpr int64_t N = 60000, E = 4;
  const Numbers many = random_values(N * E, random);
  CHECK(z_loss({N, E}, many, full, DType::f32) == Approx(z_loss({N, E}, many, full)).epsilon(1e-6));
  const Routing routing = impose_routing(tensor_of({N, 1}, DType::i32, some_choices(N, E, 1)), E, 4);
  const double single = to_doubles(load_balancing_loss(tensor_of({N, E}, DType::f32, many), routing))[0];
  CHECK(single == Approx(balancing(N, E, many, routing)).epsilon(1e-6));
}

TEST_CASE("router losses: what does not fit is named") {
  const Routing routing = impose_routing(tensor_of({2, 1}, DType::i32, {0, 2}), 3, 4);
  REQUIRE_THROWS_WITH(load_balancing_loss(Tensor::empty({2, 4}, DType::f64), routing),
                      "load_balancing_loss: logits must be [2, 3], found [2, 4]");
  REQUIRE_THROWS_WITH(router_z_loss(Tensor::empty({0, 4}, DType::f64), full),
                      "router_z_loss: logits must be [tokens, experts], at least one of each, found [0, 4]");
  REQUIRE_THROWS_WITH(router_z_loss(Tensor::empty({2, 4}, DType::bf16), full),
                      "router_z_loss: logits must be float32, found bfloat16");
}
