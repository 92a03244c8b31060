#include "engine/ops/cross_entropy/cross_entropy.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

OpCase case_of(const char* what, int64_t tokens, int64_t channels, int64_t padded, const CrossEntropyInputs& options,
               std::vector<double> targets) {
  return {.op = "softcapped_cross_entropy",
          .what = what,
          .inputs = {{Kind::activation, {tokens, channels}},
                     {Kind::weight, {padded, channels}},
                     integers({tokens}, std::move(targets))},
          .call =
              [options](const Tensors& x) {
                CrossEntropyInputs in = options;
                in.hidden = x[0], in.weight = x[1], in.targets = x[2];
                return Tensors{softcapped_cross_entropy(in)};
              },
          .bf16_roundings = 4};  // dz is rounded before the products
}

std::vector<double> some_targets(int64_t n, int64_t vocabulary) {
  std::vector<double> targets;
  for (int64_t i = 0; i < n; ++i) targets.push_back(i % 5 == 3 ? -1 : double(i * 7 % vocabulary));
  return targets;
}

const Case cases[] = {
    Case{case_of("one token, one word", 1, 1, 1, {.vocabulary = 1, .chunk_tokens = 1}, {0})},
    Case{case_of("padding, ragged chunks", 11, 6, 16, {.vocabulary = 13, .chunk_tokens = 4}, some_targets(11, 13))},
    Case{case_of("logits kept", 11, 6, 16, {.vocabulary = 13, .chunk_tokens = 4, .recompute = false}, some_targets(11, 13))},
    Case{case_of("all ignored", 2, 3, 4, {.vocabulary = 4, .chunk_tokens = 8}, {-1, -1})},
};

Tensor of(Shape shape, const std::vector<double>& values, DType dtype = DType::f64) {
  const Tensor t = Tensor::empty(shape, dtype);
  set_values(t, values);
  return t;
}

}  // namespace

TEST_CASE("cross entropy: the spec's vector 77") {
  // Raw logits 1, 2, 3 with target 2: an identity weight makes the hidden state the logits.
  Tensor h = of({1, 3}, {1, 2, 3}).track();
  const Tensor w = of({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}), target = of({1}, {2}, DType::i32);
  const auto capped = to_doubles(softcapped_logits(h, w, 3));
  REQUIRE(capped[0] == Approx(0.9985211475).epsilon(1e-9));
  REQUIRE(capped[2] == Approx(2.9606298034).epsilon(1e-9));
  REQUIRE(to_doubles(softcapped_logits(of({1, 3}, {20, -30, 0}), w, 3))[1] == Approx(-14.4604137011).epsilon(1e-9));
  Tape tape;
  const Tensor loss = softcapped_cross_entropy({.hidden = h, .weight = w, .targets = target, .vocabulary = 3, .chunk_tokens = 1});
  REQUIRE(to_doubles(loss)[0] == Approx(0.4178789410).epsilon(1e-9));
  tape.backward(loss);
  const auto dh = gradient_of(h);
  REQUIRE(dh[0] == Approx(0.0921416002).epsilon(1e-8));
  REQUIRE(dh[1] == Approx(0.2446315031).epsilon(1e-8));
  REQUIRE(dh[2] == Approx(-0.3282519827).epsilon(1e-8));
}

TEST_CASE("cross entropy: the size of the chunks and keeping the logits change nothing but rounding") {
  std::mt19937_64 random(9);
  const auto run = [&](int64_t chunk, bool recompute) {
    std::mt19937_64 same(9);
    Tensor h = of({23, 8}, random_values(23 * 8, same)).track();
    const Tensor w = of({40, 8}, random_values(40 * 8, same)), targets = of({23}, some_targets(23, 37), DType::i32);
    Tape tape;
    const Tensor losses = softcapped_cross_entropy(
        {.hidden = h, .weight = w, .targets = targets, .vocabulary = 37, .chunk_tokens = chunk, .recompute = recompute});
    auto place = contribute<double>(losses);
    for (int64_t i = 0; i < 23; ++i) place.put(i, double(i));
    tape.run();
    auto all = to_doubles(losses);
    const auto dh = gradient_of(h);
    all.insert(all.end(), dh.begin(), dh.end());
    return all;
  };
  const auto whole = run(1000, true);
  for (int64_t chunk : {1, 5, 23})
    for (bool recompute : {true, false}) REQUIRE(relative_distance(run(chunk, recompute), whole) < 1e-14);
}

TEST_CASE("cross entropy: extreme logits stay finite") {
  const Tensor h = of({1, 1}, {1e30}, DType::f32), w = of({2, 1}, {1, -1}, DType::f32), target = of({1}, {1}, DType::i32);
  const auto loss =
      to_doubles(softcapped_cross_entropy({.hidden = h, .weight = w, .targets = target, .vocabulary = 2, .chunk_tokens = 1}));
  REQUIRE(loss[0] == Approx(30).epsilon(1e-6));
}

TEST_CASE("cross entropy: a target that is no word is named") {
  const Tensor h = of({2, 1}, {1, 1}), w = of({4, 1}, {1, 1, 1, 1}), targets = of({2}, {0, 4}, DType::i32);
  REQUIRE_THROWS_WITH(
      softcapped_cross_entropy({.hidden = h, .weight = w, .targets = targets, .vocabulary = 4, .chunk_tokens = 1}),
      "softcapped_cross_entropy: target 4 of token 1 is not in -1 … 3");
}
