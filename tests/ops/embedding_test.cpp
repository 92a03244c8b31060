#include "engine/ops/embedding/embedding.h"

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, Shape table, Shape ids) {
  std::mt19937_64 random(11);
  std::vector<double> values(size_t(ids.size()));  // many of them repeat
  for (double& id : values) id = double(random() % uint64_t(table[0]));
  return {
      .op = "embedding", .what = what, .inputs = {{Kind::weight, table}, integers(ids, values)}, .call = [](const Tensors& x) {
        return Tensors{embedding(x[0], x[1])};
      }};
}

const Case one{case_of("one token, one word, one channel", {1, 1}, {1, 1})}, ragged{case_of("ragged", {7, 5}, {3, 11})},
    wide_rows{case_of("more columns than a tile's", {13, 131}, {2, 40})};

}  // namespace

TEST_CASE("embedding: rows are copied, and their gradients add up in the order of the tokens") {
  const Tensor weight = parameter({3, 2}, DType::f32, DType::f32), ids = Tensor::empty({2, 2}, DType::i32);
  set_values(weight, {1, 2, 3, 4, 5, 6});
  set_values(ids, {2, 0, 2, 2});
  Tape tape;
  const Tensor y = embedding(weight, ids);
  REQUIRE(y.shape() == Shape{2, 2, 2});
  REQUIRE(to_doubles(y) == std::vector<double>{5, 6, 1, 2, 5, 6, 5, 6});

  // In float32 2^24 + 1 + 1 is 2^24 and 1 + 1 + 2^24 is 2^24 + 2.
  const std::vector<double> dy{0x1p24, 1, 0, 7, 1, 1, 1, 0x1p24};
  const GradOut<float> cotangent = contribute<float>(y);
  for (int64_t i = 0; i < 8; ++i) cotangent.put(i, float(dy[size_t(i)]));
  tape.run();
  REQUIRE(gradient_of(weight) == std::vector<double>{0, 7, 0, 0, 0x1p24, 0x1p24 + 2});
}

TEST_CASE("embedding: a table that is no parameter gets its whole gradient written") {
  Tensor weight = Tensor::empty({3, 1}, DType::f64).track();
  const Tensor ids = Tensor::empty({1, 2}, DType::i32);
  set_values(weight, {1, 2, 3});
  set_values(ids, {1, 1});
  host_step_slab().poison(true);
  Tape tape;
  const Tensor y = embedding(weight, ids);
  const GradOut<double> cotangent = contribute<double>(y);
  cotangent.put(0, 3), cotangent.put(1, 4);
  tape.run();
  host_step_slab().poison(false);
  REQUIRE(gradient_of(weight) == std::vector<double>{0, 7, 0});
}

TEST_CASE("embedding: the first id outside of the vocabulary is named") {
  const Tensor weight = Tensor::zeros({5, 3}, DType::f32), ids = Tensor::empty({2, 3}, DType::i32);
  set_values(ids, {0, 4, 1, 2, 5, -1});
  REQUIRE_THROWS_WITH(embedding(weight, ids), "embedding: id 5 at [1, 1] is outside of the vocabulary of 5");
  set_values(ids, {0, 4, -1, 2, 5, -1});
  REQUIRE_THROWS_WITH(embedding(weight, ids), "embedding: id -1 at [0, 2] is outside of the vocabulary of 5");
}

TEST_CASE("embedding: arguments that do not fit are named") {
  const Tensor weight = Tensor::empty({5, 3}, DType::f32), ids = Tensor::empty({2, 3}, DType::i32);
  REQUIRE_THROWS_WITH(embedding(weight.reshape({15}), ids), "embedding: weight must be [vocabulary, channels], found [15]");
  REQUIRE_THROWS_WITH(embedding(weight, ids.reshape({6})), "embedding: ids must be [batch, tokens], found [6]");
  REQUIRE_THROWS_WITH(embedding(weight, Tensor::empty({2, 3}, DType::f32)), "embedding: ids must be int32, found float32");
}
