#include "engine/ops/matmul/matmul.h"

#include <cstring>
#include <limits>

#include "engine/device/gemm.h"
#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase linear_case(const char* what, Shape x, int64_t out) {
  return {.op = "linear",
          .what = what,
          .inputs = {{Kind::activation, x}, {Kind::weight, {out, x[-1]}}},
          .call = [](const Tensors& in) { return Tensors{linear(in[0], in[1])}; }};
}
OpCase expert_case(const char* what, int64_t experts, int64_t slots, int64_t in, int64_t out) {
  return {.op = "expert_matmul",
          .what = what,
          .inputs = {{Kind::activation, {experts, slots, in}}, {Kind::weight, {experts, in, out}}},
          .call = [](const Tensors& x) { return Tensors{expert_matmul(x[0], x[1])}; }};
}

const Case cases[] = {Case{linear_case("one element", {1, 1}, 1)}, Case{linear_case("three axes", {2, 3, 5}, 7)},
                      Case{linear_case("over tiles", {300, 33}, 70)}, Case{expert_case("one expert", 1, 1, 1, 1)},
                      Case{expert_case("ragged", 3, 5, 7, 11)}};

}  // namespace

TEST_CASE("gemm: every way to transpose, against the definition, ragged over tiles") {
  std::mt19937_64 random(3);
  const int64_t m = GENERATE(1, 37, 300), n = GENERATE(1, 130, 515), k = GENERATE(1, 65), batch = GENERATE(1, 3);
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const auto a = random_values(batch * m * k, random), b = random_values(batch * k * n, random);
  std::vector<double> c(size_t(batch * m * n), 0.5);
  gemm(CpuQueue{}, {.m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b, .batch = batch}, a.data(),
       b.data(), GradOut<double>{c.data(), true});
  double worst = 0;
  for (int64_t e = 0; e < batch; ++e)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0.5;
        for (int64_t p = 0; p < k; ++p)
          sum += a[size_t(e * m * k + (transpose_a ? p * m + i : i * k + p))] *
                 b[size_t(e * k * n + (transpose_b ? j * k + p : p * n + j))];
        worst = std::max(worst, std::abs(sum - c[size_t((e * m + i) * n + j)]));
      }
  REQUIRE(worst < 1e-12);
}

TEMPLATE_TEST_CASE("gemm: the BLAS and Eigen agree, with strides, α and β", "", float, double) {
  std::mt19937_64 random(4);
  const int64_t m = 19, n = 45, k = 33, stride = 61;
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const TestType beta = GENERATE(0, 1, 2);
  const auto values = random_values(3 * stride * stride, random);
  const std::vector<TestType> start(values.begin(), values.end());
  std::vector<TestType> x = start, y = start;
  const auto product = [&](std::vector<TestType>& memory) {
    return TileProduct<TestType>{m,
                                 n,
                                 k,
                                 memory.data(),
                                 stride,
                                 transpose_a,
                                 memory.data() + stride * stride,
                                 stride,
                                 transpose_b,
                                 memory.data() + 2 * stride * stride,
                                 stride,
                                 TestType(0.5),
                                 beta};
  };
  multiply_tile(product(x));
  multiply_tile_eigen(product(y));
  // A sum of k products of numbers up to 2 in size, rounded in another order.
  const TestType tolerance = std::numeric_limits<TestType>::epsilon() * 4 * TestType(k);
  for (size_t i = 0; i < x.size(); ++i) REQUIRE(std::abs(x[i] - y[i]) <= tolerance);
}

namespace {

/// c + Σ_k a·b of matrix e, with b from matrix of[e].
template <class T, class C>
void check_few_rows(GemmShape s, const std::vector<int32_t>& of) {
  std::mt19937_64 random(9);
  const int64_t matrices = 4;
  const auto values = [&]<class X>(int64_t n, std::vector<X>& x) {
    for (double v : random_values(n, random)) x.push_back(X(Wide<X>(v)));
  };
  std::vector<T> a, b;
  std::vector<C> start;
  values(s.batch * s.m * s.k, a), values(matrices * s.k * s.n, b), values(s.batch * s.m * s.n, start);
  if (!of.empty()) s.b_of = of.data();
  for (const bool add : {false, true}) {
    const int before = threads();
    std::vector<C> first;
    for (int count : {1, 3}) {
      set_threads(count);
      std::vector<C> c = start;
      gemm(CpuQueue{}, s, a.data(), b.data(), GradOut<C>{c.data(), add});
      double worst = 0, reach = 0;
      for (int64_t e = 0; e < s.batch; ++e)
        for (int64_t i = 0; i < s.m; ++i)
          for (int64_t j = 0; j < s.n; ++j) {
            const size_t at = size_t((e * s.m + i) * s.n + j);
            const T* const matrix = b.data() + (of.empty() ? e : of[size_t(e)]) * s.k * s.n;
            double sum = add ? double(Wide<C>(start[at])) : 0;
            for (int64_t x = 0; x < s.k; ++x)
              sum += double(Wide<T>(a[size_t((e * s.m + i) * s.k + x)])) *
                     double(Wide<T>(matrix[s.transpose_b ? j * s.k + x : x * s.n + j]));
            worst = std::max(worst, std::abs(sum - double(Wide<C>(c[at]))));
            reach = std::max(reach, std::abs(sum));
          }
      const double epsilon = std::is_same_v<C, bfloat16> ? 0x1p-8 : double(std::numeric_limits<Wide<T>>::epsilon());
      CHECK(worst <= epsilon * (reach + (std::is_same_v<C, bfloat16> ? 0 : 4 * double(s.k))));
      if (first.empty()) first = c;
      CHECK(std::memcmp(first.data(), c.data(), c.size() * sizeof(C)) == 0);
    }
    set_threads(before);
  }
}

}  // namespace

TEST_CASE("gemm: a few rows, of all types, ragged over pieces") {
  const int64_t m = GENERATE(1, 2, 4, 5), n = GENERATE(1, 6, 1027), k = GENERATE(1, 3, 67, 300);
  const bool transpose_b = GENERATE(false, true);
  const GemmShape shape{.m = m, .n = n, .k = k, .transpose_b = transpose_b, .batch = 2};
  check_few_rows<double, double>(shape, {});
  check_few_rows<float, float>(shape, {});
  check_few_rows<bfloat16, bfloat16>(shape, {});
  check_few_rows<bfloat16, float>(shape, {});
}

TEST_CASE("gemm: matrices that are picked, in any order") {
  const int64_t m = GENERATE(1, 3, 9, 70);
  const bool transpose_b = GENERATE(false, true);
  const GemmShape shape{.m = m, .n = 130, .k = 65, .transpose_b = transpose_b, .batch = 3};
  check_few_rows<double, double>(shape, {3, 0, 3});
  check_few_rows<float, float>(shape, {1, 2, 0});
  check_few_rows<bfloat16, bfloat16>(shape, {2, 3, 1});
}

TEST_CASE("some_experts_matmul: the rows of those experts") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const int64_t slots : {1, 3, 7}) {
      std::mt19937_64 random(10);
      const Tensor all = Tensor::empty({5, slots, 9}, dtype), weight = Tensor::empty({5, 9, 11}, dtype);
      set_values(all, random_values(all.size(), random));
      set_values(weight, random_values(weight.size(), random));
      const auto whole = to_doubles(expert_matmul(all, weight));
      const std::vector<int32_t> experts{1, 4};
      const Tensor some = Tensor::empty({2, slots, 9}, dtype);
      const int64_t bytes = some.bytes() / 2;
      for (size_t i = 0; i < 2; ++i) std::memcpy(some.raw() + int64_t(i) * bytes, all.raw() + experts[i] * bytes, size_t(bytes));
      const auto found = to_doubles(some_experts_matmul(some, weight, Tensor::integers(experts, {2})));
      REQUIRE(found.size() == size_t(2 * slots * 11));
      for (size_t i = 0; i < found.size(); ++i) {
        const size_t of_one = size_t(slots * 11);
        REQUIRE(found[i] == whole[size_t(experts[i / of_one]) * of_one + i % of_one]);
      }
    }
}

TEST_CASE("some_experts_matmul: what does not fit is named") {
  const Tensor x = Tensor::empty({2, 3, 4}, DType::f32), w = Tensor::empty({5, 4, 6}, DType::f32);
  const auto experts = [](std::vector<int32_t> numbers) { return Tensor::integers(numbers, {int64_t(numbers.size())}); };
  REQUIRE_NOTHROW(some_experts_matmul(x, w, experts({4, 0})));
  REQUIRE_THROWS_WITH(some_experts_matmul(x, w, experts({4, 5})), "some_experts_matmul: experts must be in 0..4, found 5");
  REQUIRE_THROWS_WITH(some_experts_matmul(x, w, experts({-1, 0})), "some_experts_matmul: experts must be in 0..4, found -1");
  REQUIRE_THROWS_WITH(some_experts_matmul(x, w, experts({0})), "some_experts_matmul: experts must be [2], found [1]");
  REQUIRE_THROWS_WITH(some_experts_matmul(x, Tensor::empty({5, 6, 4}, DType::f32), experts({0, 1})),
                      contains("found [2, 3, 4] and [5, 6, 4]"));
}

TEST_CASE("linear: shapes and types that do not fit are named") {
  const Tensor x = Tensor::empty({2, 3}, DType::f32), w = Tensor::empty({5, 4}, DType::f32),
               half = Tensor::empty({5, 3}, DType::bf16);
  REQUIRE_THROWS_WITH(linear(x, w), "linear: x must be [..., 4] for a weight of [5, 4], found [2, 3]");
  REQUIRE_THROWS_WITH(linear(x, half), "linear: weight must be float32, found bfloat16");
  REQUIRE_THROWS_WITH(expert_matmul(x, w),
                      "expert_matmul: x must be [E, slots, in] for a weight [E, in, out], found [2, 3] and [5, 4]");
}
