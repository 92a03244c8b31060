// Routing against a slow and obvious one.

#include "engine/ops/router/routing.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Numbers = std::vector<double>;

struct Sizes {
  int64_t tokens, experts, top_k, capacity;
};

Tensor tensor_of(Shape shape, DType dtype, const Numbers& values) {
  const Tensor x = Tensor::empty(shape, dtype);
  set_values(x, values);
  return x;
}

/// What a routing says, as numbers.
struct Said {
  Numbers expert, rank, assignment, counts;
  bool operator==(const Said&) const = default;
};
Said said(const Routing& r) {
  return {to_doubles(r.expert), to_doubles(r.rank), to_doubles(r.assignment), to_doubles(expert_counts(r))};
}

Numbers slow_choices(const Sizes& n, const Numbers& scores) {
  Numbers expert;
  for (int64_t token = 0; token < n.tokens; ++token) {
    const double* const score = scores.data() + token * n.experts;
    std::vector<size_t> order(static_cast<size_t>(n.experts));
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
    expert.insert(expert.end(), order.begin(), order.begin() + n.top_k);
  }
  return expert;
}

Said slow_slots(const Sizes& n, const Numbers& expert) {
  Said s{expert, Numbers(expert.size()), Numbers(size_t(n.experts * n.capacity), -1), Numbers(size_t(n.experts), 0)};
  for (int64_t k = 0; k < n.top_k; ++k)
    for (int64_t token = 0; token < n.tokens; ++token) {
      const size_t a = size_t(token * n.top_k + k), e = size_t(expert[a]);
      s.rank[a] = s.counts[e]++;
      if (s.rank[a] < double(n.capacity)) s.assignment[e * size_t(n.capacity) + size_t(s.rank[a])] = double(a);
    }
  return s;
}

/// Every choice stands where it stood, under its expert's new number; experts without one are gone, and so are slots that none
/// uses.
void check_used(const Said& all, const Sizes& n, const UsedExperts& used) {
  const Said s = said(used.routing);
  Numbers numbers, place(size_t(n.experts), -1), counts;
  double slots = 0;
  for (size_t e = 0; e < size_t(n.experts); ++e) {
    if (all.counts[e] == 0) continue;
    place[e] = double(numbers.size());
    numbers.push_back(double(e)), counts.push_back(all.counts[e]);
    slots = std::max(slots, std::min(all.counts[e], double(n.capacity)));
  }
  REQUIRE(to_doubles(used.number) == numbers);
  REQUIRE(used.routing.experts == int64_t(numbers.size()));
  REQUIRE(used.routing.capacity == int64_t(slots));
  REQUIRE(s.counts == counts);
  REQUIRE(s.rank == all.rank);
  for (size_t a = 0; a < all.expert.size(); ++a) REQUIRE(s.expert[a] == place[size_t(all.expert[a])]);
  REQUIRE(s.assignment.size() == numbers.size() * size_t(slots));
  for (size_t i = 0; i < s.assignment.size(); ++i)
    REQUIRE(s.assignment[i] == all.assignment[size_t(numbers[i / size_t(slots)]) * size_t(n.capacity) + i % size_t(slots)]);
}

/// Logits of four kinds: all different, with many ties, all equal, one expert ahead of all.
Numbers logits_of(const Sizes& n, int kind, std::mt19937_64& random) {
  Numbers l = random_values(n.tokens * n.experts, random);
  for (size_t i = 0; i < l.size(); ++i) {
    l[i] = float(l[i]);
    if (kind == 1) l[i] = std::round(l[i]);
    if (kind == 2) l[i] = 0.5;
    if (kind == 3 && int64_t(i) % n.experts == n.experts / 2) l[i] = 9;
  }
  return l;
}

}  // namespace

TEST_CASE("routing: choices, ranks, slots and counts are those of the slow version") {
  host_step_slab().poison(true);
  std::mt19937_64 random(3);
  for (const int64_t experts : {1, 2, 7, 64, 160})
    for (const int64_t top_k : {int64_t{1}, int64_t{2}, int64_t{8}, std::min<int64_t>(experts, 64)})
      for (const int64_t tokens : {1, 5, 1023, 1024, 2100})
        for (int kind = 0; kind < 4; ++kind) {
          if (top_k > experts || top_k * tokens > 50000) continue;
          const Numbers l = logits_of({tokens, experts, 1, 1}, kind, random);
          const Numbers choices = slow_choices({tokens, experts, top_k, 1}, l);
          const int64_t fair = std::max<int64_t>(1, tokens * top_k / experts);
          for (const int64_t capacity : {int64_t{1}, fair, 2 * fair + 3, tokens * top_k / 2 + 1}) {
            INFO(tokens << " tokens, " << experts << " experts, top " << top_k << ", capacity " << capacity << ", kind " << kind);
            const Said expected = slow_slots({tokens, experts, top_k, capacity}, choices);
            const Routing routed = route(tensor_of({tokens, experts}, DType::f32, l), {}, top_k, capacity);
            check_used(expected, {tokens, experts, top_k, capacity}, used_experts(routed));
            REQUIRE(said(routed) == expected);
            REQUIRE(said(impose_routing(routed.expert, experts, capacity)) == expected);
          }
        }
  host_step_slab().poison(false);
}

TEST_CASE("routing: all first choices come before any second choice") {
  // Expert 0 is the first choice of tokens 0 and 2, the second of token 1.
  const Routing r = impose_routing(tensor_of({3, 2}, DType::i32, {0, 1, 1, 0, 0, 2}), 3, 2);
  REQUIRE(to_doubles(r.rank) == Numbers{0, 1, 0, 2, 1, 0});
  REQUIRE(to_doubles(r.assignment) == Numbers{0, 4, 2, 1, 5, -1});
  REQUIRE(to_doubles(expert_counts(r)) == Numbers{3, 2, 1});
}

TEST_CASE("routing: a bias takes part in the selection") {
  std::mt19937_64 random(4);
  const Sizes n{300, 6, 3, 100};
  const Numbers l = logits_of(n, 1, random), bias{0, 2, -1, 0.5, 0, -3};
  Numbers scores = l;
  for (size_t i = 0; i < scores.size(); ++i) scores[i] += bias[i % 6];
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Routing r = route(tensor_of({300, 6}, dtype, l), tensor_of({6}, dtype, bias), 3, 100);
    REQUIRE(said(r) == slow_slots(n, slow_choices(n, scores)));
  }
}

TEST_CASE("routing: logits that are no numbers give experts all the same") {
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const Numbers l{nan, nan, nan, nan, 1, nan, 3, nan, -inf, -inf, -inf, -inf, inf, nan, -inf, inf, -nan, 0, -inf, 0};
  for (int64_t top_k = 1; top_k <= 4; ++top_k) {
    const auto expert = to_doubles(route(tensor_of({5, 4}, DType::f32, l), {}, top_k, 4).expert);
    for (size_t token = 0; token < 5; ++token) {
      std::vector<bool> seen(4, false);
      for (size_t k = 0; k < size_t(top_k); ++k) {
        const double e = expert[token * size_t(top_k) + k];
        REQUIRE((e >= 0 && e < 4));
        REQUIRE_FALSE(seen[size_t(e)]);
        seen[size_t(e)] = true;
      }
    }
    REQUIRE(expert[size_t(top_k)] == 2);  // token 1: numbers come first
  }
}

TEST_CASE("routing: the same for any number of threads") {
  const int before = threads();
  std::mt19937_64 random(5);
  const Sizes n{5000, 16, 4, 900};
  const Tensor logits = tensor_of({n.tokens, n.experts}, DType::f32, logits_of(n, 0, random));
  std::vector<Said> all;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    all.push_back(said(route(logits, {}, n.top_k, n.capacity)));
  }
  set_threads(before);
  REQUIRE(all[1] == all[0]);
  REQUIRE(all[2] == all[0]);
}

TEST_CASE("routing: no tokens leave all slots empty") {
  const Routing r = route(Tensor::empty({0, 3}, DType::f32), {}, 2, 4);
  REQUIRE(to_doubles(r.assignment) == Numbers(12, -1));
  REQUIRE(to_doubles(expert_counts(r)) == Numbers(3, 0));
}

TEST_CASE("routing: what does not fit is named") {
  const Tensor logits = tensor_of({2, 3}, DType::f32, {1, 2, 3, 4, 5, 6});
  REQUIRE_THROWS_WITH(route(logits, {}, 4, 4), "route: top_k must be in 1..3 (the experts), found 4");
  REQUIRE_THROWS_WITH(route(logits, {}, 0, 4), "route: top_k must be in 1..3 (the experts), found 0");
  REQUIRE_THROWS_WITH(route(logits, {}, 2, 0), "route: capacity must be at least 1, found 0");
  REQUIRE_THROWS_WITH(route(logits, Tensor::empty({2}, DType::f32), 2, 4), "route: bias must be [3], found [2]");
  REQUIRE_THROWS_WITH(route(logits, Tensor::empty({3}, DType::f64), 2, 4), "route: bias must be float32, found float64");
  REQUIRE_THROWS_WITH(route(Tensor::empty({2, 3}, DType::bf16), {}, 2, 4), "route: logits must be float32, found bfloat16");
  REQUIRE_THROWS_WITH(route(Tensor::empty({6}, DType::f32), {}, 2, 4), "route: logits must be [tokens, experts], found [6]");
  for (const double wrong : {-1.0, 3.0}) {
    const Tensor expert = tensor_of({2, 2}, DType::i32, {0, 1, 2, wrong});
    REQUIRE_THROWS_WITH(impose_routing(expert, 3, 4),
                        fmt::format("impose_routing: expert must be in 0..2, found {} for choice 1 of token 1", wrong));
  }
  REQUIRE_THROWS_WITH(impose_routing(logits, 3, 4), "impose_routing: expert must be int32, found float32");
}
