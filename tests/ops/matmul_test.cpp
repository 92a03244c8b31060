#include "engine/ops/matmul/matmul.h"

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

TEST_CASE("linear: shapes and types that do not fit are named") {
  const Tensor x = Tensor::empty({2, 3}, DType::f32), w = Tensor::empty({5, 4}, DType::f32),
               half = Tensor::empty({5, 3}, DType::bf16);
  REQUIRE_THROWS_WITH(linear(x, w), "linear: x must be [..., 4] for a weight of [5, 4], found [2, 3]");
  REQUIRE_THROWS_WITH(linear(x, half), "linear: weight must be float32, found bfloat16");
  REQUIRE_THROWS_WITH(expert_matmul(x, w),
                      "expert_matmul: x must be [E, slots, in] for a weight [E, in, out], found [2, 3] and [5, 4]");
}
