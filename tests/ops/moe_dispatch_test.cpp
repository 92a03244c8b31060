#include "engine/ops/moe_dispatch/moe_dispatch.h"

#include <limits>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Numbers = std::vector<double>;

struct Sizes {
  int64_t tokens, experts, top_k, capacity, channels;
};
constexpr Sizes single{1, 1, 1, 1, 1}, ragged{37, 5, 3, 20, 300}, roomy{5, 3, 2, 11, 7}, wide_rows{3, 2, 1, 4, 513};

/// Choices of which the lower experts get more: some experts overflow, others keep unused slots.
Numbers some_choices(const Sizes& n) {
  std::mt19937_64 random(21);
  Numbers all;
  for (int64_t token = 0; token < n.tokens; ++token) {
    const int64_t first = int64_t(random() % 3) == 0 ? int64_t(random() % uint64_t(n.experts)) : 0;
    for (int64_t k = 0; k < n.top_k; ++k) all.push_back(double((first + k) % n.experts));
  }
  return all;
}

Input choices(const Sizes& n) { return integers({n.tokens, n.top_k}, some_choices(n)); }

OpCase dispatch_case(const char* what, Sizes n) {
  return {.op = "moe_dispatch",
          .what = what,
          .inputs = {{Kind::activation, {n.tokens, n.channels}}, choices(n)},
          .call = [=](const Tensors& x) -> Tensors { return {moe_dispatch(x[0], impose_routing(x[1], n.experts, n.capacity))}; }};
}
OpCase confidence_case(const char* what, Sizes n) {
  return {.op = "moe_dispatch_confidence",
          .what = what,
          .inputs = {{Kind::wide_activation, {n.tokens, n.top_k}}, choices(n)},
          .call = [=](const Tensors& x) -> Tensors {
            return {moe_dispatch_confidence(x[0], impose_routing(x[1], n.experts, n.capacity))};
          }};
}
OpCase combine_case(const char* what, Sizes n) {
  return {.op = "moe_combine",
          .what = what,
          .inputs = {{Kind::activation, {n.experts, n.capacity, n.channels}},
                     {Kind::wide_activation, {n.tokens, n.top_k}},
                     choices(n)},
          .call = [=](const Tensors& x) -> Tensors {
            return {moe_combine(x[0], x[1], impose_routing(x[2], n.experts, n.capacity))};
          }};
}

const Case dispatch_single{dispatch_case("one of each", single)},
    dispatch_ragged{dispatch_case("drops and unused slots", ragged)}, dispatch_roomy{dispatch_case("no drops", roomy)},
    dispatch_wide{dispatch_case("long rows", wide_rows)}, confidence_single{confidence_case("one of each", single)},
    confidence_ragged{confidence_case("drops and unused slots", ragged)},
    confidence_many{confidence_case("over a tile", {3000, 4, 2, 1100, 1})}, combine_single{combine_case("one of each", single)},
    combine_ragged{combine_case("drops and unused slots", ragged)}, combine_roomy{combine_case("no drops", roomy)},
    combine_wide{combine_case("long rows", wide_rows)};

// ---- One routing by hand: expert 0 has 3 of the 4 first choices and room for 2; of expert 1 a second choice is
// dropped; expert 2 keeps an unused slot.

constexpr size_t N = 4, E = 3, K = 2, cap = 2, C = 3;
constexpr int dropped = -1;
constexpr int slot_of[N * K] = {0, 3, 1, 4, 2, dropped, dropped, dropped};  // [N, K]

Routing by_hand() {
  const Tensor expert = Tensor::empty({N, K}, DType::i32);
  set_values(expert, {0, 1, 0, 2, 1, 0, 0, 1});
  return impose_routing(expert, E, cap);
}

Tensor random_tensor(Shape shape, std::mt19937_64& random) {
  const Tensor x = Tensor::empty(shape, DType::f64);
  set_values(x, random_values(x.size(), random));
  return x;
}
void seed(const Tensor& y, const Numbers& dy) {
  const GradOut<double> place = contribute<double>(y);
  for (int64_t i = 0; i < y.size(); ++i) place.put(i, dy[size_t(i)]);
}
bool close(const Numbers& a, const Numbers& b) { return a.size() == b.size() && relative_distance(a, b) <= 1e-14; }

/// While it lives, memory is full of NaN before it is written.
struct Poisoned {
  Poisoned() { host_step_slab().poison(true); }
  ~Poisoned() { host_step_slab().poison(false); }
};

}  // namespace

TEST_CASE("moe_dispatch: rows go to their slots and unused slots are zero") {
  const Poisoned memory;
  std::mt19937_64 random(1);
  const Tensor x = random_tensor({N, C}, random).track(), c = random_tensor({N, K}, random).track();
  const Numbers dslots = random_values(E * cap * C, random), dc_slots = random_values(E * cap, random);
  Numbers dx = random_values(N * C, random), dc = random_values(N * K, random);
  seed(x, dx), seed(c, dc);  // there is a gradient already, also where this op has none
  Tape tape;
  const Tensor slots = moe_dispatch(x, by_hand()), confidence = moe_dispatch_confidence(c, by_hand());
  seed(slots, dslots), seed(confidence, dc_slots);
  tape.run();

  Numbers expected(E * cap * C, 0), expected_c(E * cap, 0);
  for (size_t a = 0; a < N * K; ++a) {
    if (slot_of[a] == dropped) continue;
    const size_t slot = size_t(slot_of[a]);
    expected_c[slot] = to_doubles(c)[a];
    dc[a] += dc_slots[slot];
    for (size_t j = 0; j < C; ++j) {
      expected[slot * C + j] = to_doubles(x)[a / K * C + j];
      dx[a / K * C + j] += dslots[slot * C + j];
    }
  }
  REQUIRE(to_doubles(slots) == expected);
  REQUIRE(to_doubles(confidence) == expected_c);
  REQUIRE(close(gradient_of(x), dx));
  REQUIRE(close(gradient_of(c), dc));
}

TEST_CASE("moe_combine: the slots' rows, weighted, what nobody has leaves no trace") {
  const Poisoned memory;
  std::mt19937_64 random(2);
  const Tensor p = random_tensor({N, K}, random).track();
  Numbers y = random_values(E * cap * C, random);
  for (size_t j = 0; j < C; ++j) y[5 * C + j] = std::numeric_limits<double>::quiet_NaN();  // the unused slot
  const Tensor ty = random_tensor({E, cap, C}, random).track();
  set_values(ty, y);
  const Numbers dout = random_values(N * C, random), weight = to_doubles(p);
  Numbers dy = random_values(E * cap * C, random), dp = random_values(N * K, random);
  seed(ty, dy), seed(p, dp);  // there is a gradient already, also where this op has none
  Tape tape;
  const Tensor out = moe_combine(ty, p, by_hand());
  seed(out, dout);
  tape.run();

  Numbers expected(N * C, 0);
  for (size_t a = 0; a < N * K; ++a) {
    if (slot_of[a] == dropped) continue;
    for (size_t j = 0; j < C; ++j) {
      const size_t slot = size_t(slot_of[a]) * C + j, token = a / K * C + j;
      expected[token] += weight[a] * y[slot];
      dy[slot] += weight[a] * dout[token];
      dp[a] += dout[token] * y[slot];
    }
  }
  REQUIRE(close(to_doubles(out), expected));
  REQUIRE(close(gradient_of(ty), dy));
  REQUIRE(close(gradient_of(p), dp));
}

TEST_CASE("moe_combine: sums are carried in the wide type and rounded once") {
  // 1 + 2⁻⁸ + 2⁻⁸ in bfloat16 is 1 + 2⁻⁷; rounded after each addition it would stay 1.
  const Tensor expert = Tensor::empty({1, 3}, DType::i32), y = Tensor::empty({3, 1, 1}, DType::bf16),
               p = Tensor::empty({1, 3}, DType::f32);
  set_values(expert, {0, 1, 2}), set_values(y, {1, 0x1p-8, 0x1p-8}), set_values(p, {1, 1, 1});
  REQUIRE(to_doubles(moe_combine(y, p, impose_routing(expert, 3, 1))) == Numbers{1 + 0x1p-7});
  const Tensor x = Tensor::empty({1, 1}, DType::bf16).track();
  Tape tape;
  const Tensor slots = moe_dispatch(x, impose_routing(expert, 3, 1));
  const GradOut<bfloat16> place = contribute<bfloat16>(slots);
  place.put(0, 1), place.put(1, 0x1p-8f), place.put(2, 0x1p-8f);
  tape.run();
  REQUIRE(gradient_of(x) == Numbers{1 + 0x1p-7});
}

TEST_CASE("moe_dispatch: what does not fit is named") {
  const Routing routing = by_hand();
  const auto f64 = [](Shape shape) { return Tensor::empty(shape, DType::f64); };
  REQUIRE_THROWS_WITH(moe_dispatch(f64({5, 3}), routing), "moe_dispatch: routing.expert must be [5, 2], found [4, 2]");
  REQUIRE_THROWS_WITH(moe_dispatch(f64({12}), routing), "moe_dispatch: x must be [tokens, channels], found [12]");
  REQUIRE_THROWS_WITH(moe_dispatch_confidence(f64({2, 4}), routing),
                      "moe_dispatch_confidence: confidence must be [4, 2], found [2, 4]");
  REQUIRE_THROWS_WITH(moe_combine(f64({3, 4, 3}), f64({4, 2}), routing), "moe_combine: y must be [3, 2, 3], found [3, 4, 3]");
  REQUIRE_THROWS_WITH(moe_combine(f64({3, 2, 3}), f64({2, 4}), routing), "moe_combine: probability must be [4, 2], found [2, 4]");
  REQUIRE_THROWS_WITH(moe_combine(f64({3, 2, 3}), Tensor::empty({4, 2}, DType::f32), routing),
                      "moe_combine: probability must be float64, found float32");
}
