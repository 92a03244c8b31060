#include "engine/core/philox.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "tests/support/catch.h"

using namespace kappa;

namespace {

constexpr int64_t count = 200'000;

template <class Draw>
std::vector<double> drawn(Draw draw) {
  std::vector<double> x(count);
  for (int64_t i = 0; i < count; ++i) x[size_t(i)] = double(draw(i));
  return x;
}

/// The mean of x^power.
double moment(const std::vector<double>& x, int power) {
  double sum = 0;
  for (double v : x) sum += std::pow(v, power);
  return sum / double(x.size());
}

}  // namespace

TEST_CASE("philox: known answers of Random123") {
  struct Case {
    PhiloxBlock counter;
    uint32_t k0, k1;
    PhiloxBlock expected;
  };
  const Case cases[] = {
      {{0, 0, 0, 0}, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, ~0u, ~0u, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       0xa4093822,
       0x299f31d0,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) {
    const PhiloxBlock found = philox(c.counter, c.k0, c.k1);
    for (int lane = 0; lane < 4; ++lane) REQUIRE(found.word(lane) == c.expected.word(lane));
  }
}

TEST_CASE("philox: a number depends on seed, stream, step and index, on each") {
  const auto bits = [](uint64_t seed, const char* stream, uint64_t step, int64_t i) {
    return Random(seed, stream, step).bits(i);
  };
  REQUIRE(bits(1, "a", 2, 3) == bits(1, "a", 2, 3));
  std::set<uint32_t> different;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40})
    for (const char* stream : {"", "a", "b", "transformer.h.1.mlp", "transformer.h.2.mlp"})
      for (uint64_t step : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40})
        for (int64_t i : {int64_t{0}, int64_t{1}, int64_t{4}, int64_t{1} << 40}) different.insert(bits(seed, stream, step, i));
  REQUIRE(different.size() == 3 * 5 * 3 * 4);  // the chance that two of 180 agree is 4e-6
}

// The moments of n independent numbers scatter by σ/√n around the true ones; five times that is allowed.
TEST_CASE("philox: uniform numbers lie between 0 and 1") {
  const Random random(7, "uniform");
  const double tolerance = 5 / std::sqrt(double(count));
  for (const auto& x : {drawn([&](int64_t i) { return random.uniform<float>(i); }),
                        drawn([&](int64_t i) { return random.uniform<double>(i); })}) {
    const auto [low, high] = std::ranges::minmax(x);
    REQUIRE((low >= 0 && low < 1e-3));
    REQUIRE((high < 1 && high > 0.999));
    REQUIRE(moment(x, 1) == Approx(0.5).margin(tolerance * std::sqrt(1 / 12.0)));
    REQUIRE(moment(x, 2) == Approx(1 / 3.0).margin(tolerance * std::sqrt(1 / 5.0 - 1 / 9.0)));
    double lag = 0;  // neighbours are independent, also those of one block
    for (size_t i = 0; i + 1 < x.size(); ++i) lag += (x[i] - 0.5) * (x[i + 1] - 0.5);
    REQUIRE(lag / double(count) == Approx(0).margin(tolerance / 12));
  }
}

TEST_CASE("philox: the ends of uniform") {
  REQUIRE(Random::unit(0) == 0);
  REQUIRE(Random::unit(~0u) == 1 - 0x1p-24f);
}

TEST_CASE("philox: normal numbers have the moments of a normal distribution") {
  const Random random(7, "normal");
  const auto x = drawn([&](int64_t i) { return random.normal<double>(i); });
  const double tolerance = 5 / std::sqrt(double(count));
  // E x^{2k} = (2k−1)!!; the variance of the mean of x^k is that of x^k over n.
  REQUIRE(moment(x, 1) == Approx(0).margin(tolerance));
  REQUIRE(moment(x, 2) == Approx(1).margin(tolerance * std::sqrt(2.0)));
  REQUIRE(moment(x, 3) == Approx(0).margin(tolerance * std::sqrt(15.0)));
  REQUIRE(moment(x, 4) == Approx(3).margin(tolerance * std::sqrt(96.0)));
  double pairs = 0;  // the two numbers of one pair of words are independent
  for (size_t i = 0; i < x.size(); i += 2) pairs += x[i] * x[i + 1];
  REQUIRE(2 * pairs / double(x.size()) == Approx(0).margin(tolerance * std::sqrt(2.0)));
}

TEST_CASE("philox: a normal number in float is the one in double") {
  const Random random(7, "normal", 3);
  for (int64_t i = 0; i < 10'000; ++i) {
    // v, 2π and their product are rounded to 24 bits: the angle, up to 2π, is off by at most 1.5·2⁻²¹; times the radius,
    // below 6.8. u is rounded to 2⁻²⁵ where it is near 1, and the radius there is √(2(1 − u)): off by at most √(2·2⁻²⁵).
    const double tolerance = 6.8 * 1.5 * 0x1p-21 + std::sqrt(2 * 0x1p-25);
    REQUIRE(std::fabs(random.normal<float>(i) - random.normal<double>(i)) < tolerance);
  }
}
