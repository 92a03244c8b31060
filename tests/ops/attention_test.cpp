#include "engine/ops/attention/attention.h"

#include <cstring>

#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Sizes under the names of the formulas.
struct Sizes {
  const char* what;
  int64_t B, T, S, H, Hkv, D, window;
};

Shape q_shape(const Sizes& n) { return {n.B, n.T, n.H, n.D}; }
Shape k_shape(const Sizes& n) { return {n.B, n.S, n.Hkv, n.D}; }

Tensors call(const Tensors& x, int64_t window) { return {attention({.q = x[0], .k = x[1], .v = x[2], .window = window})}; }

OpCase case_of(const Sizes& n) {
  return {.op = "attention",
          .what = n.what,
          .inputs = {{Kind::activation, q_shape(n)}, {Kind::activation, k_shape(n)}, {Kind::activation, k_shape(n)}},
          .call = [window = n.window](const Tensors& x) { return call(x, window); },
          .bf16_roundings = 3};  // the way back starts from a rounded o
}

const Sizes sizes[] = {
    {"one query, one key", 1, 1, 1, 1, 1, 1, 0},
    {"two channels, a block of queries and one more", 2, 65, 65, 1, 1, 2, 1000},
    {"grouped queries", 2, 21, 21, 6, 2, 5, 21},
    {"all queries on one kv head", 1, 13, 13, 3, 1, 3, 5},
    {"a window that leaves queries without keys of a block", 1, 330, 330, 2, 1, 3, 7},
    {"keys of earlier tokens", 2, 5, 12, 4, 2, 7, 30},
    {"earlier tokens, partly out of the window", 1, 70, 301, 2, 2, 6, 150},
    {"one token after many", 3, 1, 300, 2, 1, 8, 290},
    {"several blocks of keys", 1, 290, 290, 1, 1, 9, 1 << 20},
};

const std::vector<Case> cases = [] {
  std::vector<Case> all;
  for (const Sizes& n : sizes) all.emplace_back(case_of(n));
  return all;
}();

struct Expected {
  std::vector<double> out, dq, dk, dv;
};

/// The definition, pair by pair, with every query's whole row of probabilities: the gradient of a softmax by its Jacobian.
Expected slow_attention(const Sizes& n, const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v,
                        const std::vector<double>& dout) {
  Expected e{std::vector<double>(q.size()), std::vector<double>(q.size()), std::vector<double>(k.size()),
             std::vector<double>(k.size())};
  const double root = std::sqrt(double(n.D));
  for (int64_t b = 0; b < n.B; ++b)
    for (int64_t h = 0; h < n.H; ++h)
      for (int64_t i = 0; i < n.T; ++i) {
        const int64_t position = n.S - n.T + i, query = ((b * n.T + i) * n.H + h) * n.D;
        const auto key = [&](int64_t j) { return ((b * n.S + j) * n.Hkv + h * n.Hkv / n.H) * n.D; };
        const auto sees = [&](int64_t j) { return j <= position && position - j <= n.window; };
        std::vector<double> p(size_t(n.S), 0.0), dp(size_t(n.S), 0.0);
        double total = 0;
        for (int64_t j = 0; j < n.S; ++j) {
          double score = 0;
          for (int64_t d = 0; d < n.D; ++d) {
            score += q[size_t(query + d)] * k[size_t(key(j) + d)] / root;
            dp[size_t(j)] += dout[size_t(query + d)] * v[size_t(key(j) + d)];
          }
          total += p[size_t(j)] = sees(j) ? std::exp(score) : 0;
        }
        double mean = 0;
        for (int64_t j = 0; j < n.S; ++j) mean += (p[size_t(j)] /= total) * dp[size_t(j)];
        for (int64_t j = 0; j < n.S; ++j)
          for (int64_t d = 0; d < n.D; ++d) {
            const size_t at_q = size_t(query + d), at_k = size_t(key(j) + d);
            const double ds = p[size_t(j)] * (dp[size_t(j)] - mean) / root;
            e.out[at_q] += p[size_t(j)] * v[at_k];
            e.dq[at_q] += ds * k[at_k];
            e.dk[at_k] += ds * q[at_q];
            e.dv[at_k] += p[size_t(j)] * dout[at_q];
          }
      }
  return e;
}

struct Attended {
  Tensors in;
  std::vector<double> dout;
  Tensor out;

  Attended(const Sizes& n, DType dtype, double reach) {
    std::mt19937_64 random(17);
    for (const Shape& shape : {q_shape(n), k_shape(n), k_shape(n)}) {
      Tensor x = Tensor::empty(shape, dtype);
      set_values(x, random_values(x.size(), random, -reach, reach));
      in.push_back(x.track());
    }
    dout = random_values(q_shape(n).size(), random, -1, 1);
  }
  void forward_backward(int64_t window) {
    Tape tape;
    out = call(in, window)[0];
    dispatch("seed", out.dtype(), out.device(), [&]<class T>(T, CpuQueue) {
      const GradOut<T> cotangent = contribute<T>(out);
      for (int64_t i = 0; i < out.size(); ++i) cotangent.put(i, Wide<T>(dout[size_t(i)]));
    });
    tape.run();
  }
};

}  // namespace

TEST_CASE("attention: output and gradients are those of the definition") {
  host_step_slab().poison(true);
  for (const Sizes& n : sizes) {
    INFO(n.what);
    Attended a(n, DType::f64, 1.5);
    a.forward_backward(n.window);
    const Expected e = slow_attention(n, to_doubles(a.in[0]), to_doubles(a.in[1]), to_doubles(a.in[2]), a.dout);
    CHECK(relative_distance(to_doubles(a.out), e.out) <= 1e-14);
    CHECK(relative_distance(gradient_of(a.in[0]), e.dq) <= 1e-13);
    CHECK(relative_distance(gradient_of(a.in[1]), e.dk) <= 1e-13);
    CHECK(relative_distance(gradient_of(a.in[2]), e.dv) <= 1e-13);
  }
  host_step_slab().poison(false);
}

TEST_CASE("attention: the definition in float32, at the sizes of a model") {
  const Sizes n{"", 1, 333, 400, 4, 2, 64, 300};
  Attended a(n, DType::f32, 1);
  for (double& d : a.dout) d = float(d);
  a.forward_backward(n.window);
  const Expected e = slow_attention(n, to_doubles(a.in[0]), to_doubles(a.in[1]), to_doubles(a.in[2]), a.dout);
  CHECK(relative_distance(to_doubles(a.out), e.out) <= 2e-6);
  CHECK(relative_distance(gradient_of(a.in[0]), e.dq) <= 4e-6);
  CHECK(relative_distance(gradient_of(a.in[1]), e.dk) <= 4e-6);
  CHECK(relative_distance(gradient_of(a.in[2]), e.dv) <= 4e-6);
}

TEST_CASE("attention: scores that rise or fall by a thousand from the first key to the last") {
  // q = 1, k_j = slope·j and one channel: o_t = Σ_j e^(slope·(j − best))·v_j / Σ_j e^(slope·(j − best)).
  constexpr int64_t T = 600;
  for (const DType dtype : {DType::f64, DType::f32})
    for (const double slope : {2.0, -2.0}) {
      std::vector<double> ones(T, 1.0), k(T), v(T);
      for (size_t j = 0; j < T; ++j) k[j] = slope * double(j), v[j] = std::cos(double(j));
      Tensors in;
      for (const auto& values : {ones, k, v}) set_values(in.emplace_back(Tensor::empty({1, T, 1, 1}, dtype)), values);
      const auto out = to_doubles(call(in, T)[0]);
      for (size_t t = 0; t < T; ++t) {
        double sum = 0, weights = 0;
        for (size_t j = 0; j <= t; ++j) {
          const double weight = std::exp(k[j] - (slope > 0 ? k[t] : k[0]));
          sum += weight * v[j], weights += weight;
        }
        REQUIRE(out[t] == Approx(sum / weights).margin(dtype == DType::f64 ? 1e-14 : 1e-6));
      }
    }
}

TEST_CASE("attention: with a window of 0 a query sees its own key alone") {
  const Sizes n{"", 1, 9, 9, 2, 1, 4, 0};
  Attended a(n, DType::f64, 2);
  a.forward_backward(n.window);
  const auto out = to_doubles(a.out), v = to_doubles(a.in[2]), dv = gradient_of(a.in[2]);
  for (size_t t = 0; t < 9; ++t)
    for (size_t d = 0; d < 4; ++d) {
      const size_t at = t * 4 + d, head0 = t * 8 + d, head1 = head0 + 4;
      REQUIRE(out[head0] == Approx(v[at]).epsilon(1e-15));
      REQUIRE(out[head1] == Approx(v[at]).epsilon(1e-15));
      REQUIRE(dv[at] == Approx(a.dout[head0] + a.dout[head1]).epsilon(1e-14));
    }
  for (int i : {0, 1})
    for (double gradient : gradient_of(a.in[size_t(i)])) REQUIRE(std::abs(gradient) <= 1e-14);
}

TEST_CASE("attention: a cached run continues a whole one") {
  // The last five queries alone, with all keys, give what they give within the whole sequence.
  const Sizes n{"", 2, 40, 40, 2, 1, 4, 11};
  Attended whole(n, DType::f64, 2);
  const auto all = to_doubles(call(whole.in, n.window)[0]), q = to_doubles(whole.in[0]);
  const int64_t row = n.H * n.D, last = 5;
  const Tensor tail = Tensor::empty({n.B, last, n.H, n.D}, DType::f64);
  std::vector<double> values, expected;
  for (int64_t b = 0; b < n.B; ++b)
    for (int64_t i = (b + 1) * n.T * row - last * row; i < (b + 1) * n.T * row; ++i)
      values.push_back(q[size_t(i)]), expected.push_back(all[size_t(i)]);
  set_values(tail, values);
  CHECK(relative_distance(to_doubles(call({tail, whole.in[1], whole.in[2]}, n.window)[0]), expected) <= 1e-14);
}

TEST_CASE("attention: a cache with room for later tokens") {
  // Behind the keys that count stands what must not be read.
  host_step_slab().poison(true);
  const Sizes all[] = {
      {"one query, one key", 1, 1, 1, 1, 1, 1, 0},
      {"one query of two rows", 2, 1, 37, 4, 2, 6, 100},
      {"out of the window", 3, 1, 700, 6, 1, 5, 300},
      {"a window of the own key alone", 2, 1, 20, 2, 2, 8, 0},
      {"grouped queries, long", 1, 1, 1030, 8, 2, 64, 2000},
      {"several queries", 2, 5, 37, 4, 2, 6, 11},
      {"a prompt", 1, 130, 130, 2, 1, 16, 50},
  };
  for (const Sizes& n : all)
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      INFO(n.what << " in " << name_of(dtype));
      Attended a(n, dtype, 1.5);
      const Tensor room = Tensor::empty({n.B, n.S + 7, n.Hkv, n.D}, dtype);
      const int64_t row = a.in[1].bytes() / n.B, room_row = room.bytes() / n.B;
      const auto with_room = [&](const Tensor& x) {
        const Tensor y = Tensor::empty(room.shape(), dtype);
        for (int64_t b = 0; b < n.B; ++b) std::memcpy(y.raw() + b * room_row, x.raw() + b * row, size_t(row));
        return y;
      };
      const AttentionInputs in{.q = a.in[0], .k = with_room(a.in[1]), .v = with_room(a.in[2]), .window = n.window};
      const Expected e = slow_attention(n, to_doubles(a.in[0]), to_doubles(a.in[1]), to_doubles(a.in[2]), a.dout);
      const double tolerance = dtype == DType::f64 ? 1e-14 : dtype == DType::f32 ? 2e-6 : 0x1p-8;
      const int before = threads();
      std::vector<double> first;
      for (int count : {1, 2, 3}) {
        set_threads(count);
        const auto found = to_doubles(cached_attention(in, n.S));
        CHECK(relative_distance(found, e.out) <= tolerance);
        if (first.empty()) first = found;
        CHECK(found == first);
      }
      set_threads(before);
    }
  host_step_slab().poison(false);
}

TEST_CASE("attention: arguments that do not fit are named") {
  const auto of = [](Shape shape) { return Tensor::empty(shape, DType::f32); };
  const Tensor q = of({2, 3, 4, 6}), k = of({2, 5, 2, 6});
  REQUIRE_NOTHROW(call({q, k, k}, 0));
  REQUIRE_THROWS_WITH(call({q.reshape({6, 4, 6}), k, k}, 9),
                      "attention: q must be [batch, queries, heads, head size], found [6, 4, 6]");
  REQUIRE_THROWS_WITH(call({q, of({10, 2, 6}), k}, 9),
                      "attention: k must be [batch, keys, kv heads, head size], found [10, 2, 6]");
  REQUIRE_THROWS_WITH(call({q, of({2, 5, 2, 7}), k}, 9), "attention: k must be [2, 5, 2, 6], found [2, 5, 2, 7]");
  REQUIRE_THROWS_WITH(call({q, k, of({2, 5, 4, 6})}, 9), "attention: v must be [2, 5, 2, 6], found [2, 5, 4, 6]");
  REQUIRE_THROWS_WITH(call({q, of({2, 2, 2, 6}), of({2, 2, 2, 6})}, 9),
                      "attention: k must have a key for each of 3 queries, found [2, 2, 2, 6]");
  REQUIRE_THROWS_WITH(call({q, of({2, 5, 3, 6}), of({2, 5, 3, 6})}, 9),
                      "attention: 4 query heads cannot share 3 kv heads evenly");
  REQUIRE_THROWS_WITH(call({q, k, k}, -1), "attention: the window must not be negative, found -1");
  const AttentionInputs cached{.q = q, .k = k, .v = k, .window = 9};
  REQUIRE_NOTHROW(cached_attention(cached, 5));
  REQUIRE_THROWS_WITH(cached_attention(cached, 6), "attention: k must have 6 keys, found [2, 5, 2, 6]");
  REQUIRE_THROWS_WITH(cached_attention(cached, 2), "attention: k must have a key for each of 3 queries, found [2, 5, 2, 6]");
}
