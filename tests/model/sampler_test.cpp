#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "tests/support/catch.h"

using namespace kappa;

namespace {

/// How often each id is picked by `draws` uniform numbers in the middles of equal parts of [0, 1).
template <class W>
std::vector<double> shares(const std::vector<W>& logits, const Sampling& sampling, int draws) {
  std::vector<double> share(logits.size(), 0);
  for (int i = 0; i < draws; ++i) share[size_t(pick(std::span<const W>(logits), sampling, (i + 0.5) / draws))] += 1.0 / draws;
  return share;
}

/// The definition, by sorting.
template <class W>
std::vector<double> slow_shares(const std::vector<W>& logits, const Sampling& sampling) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (sampling.top_k > 0) order.resize(std::min(order.size(), size_t(sampling.top_k)));
  std::vector<double> p(logits.size(), 0);
  double sum = 0;
  for (size_t id : order) sum += p[id] = std::exp((double(logits[id]) - double(logits[order[0]])) / sampling.temperature);
  for (double& x : p) x /= sum;
  return p;
}

template <class W>
std::vector<W> some_logits(size_t count) {
  std::vector<W> logits;
  const Random random(3, "logits");
  for (size_t i = 0; i < count; ++i) logits.push_back(W(std::round(8 * random.normal<double>(int64_t(i))) / 4));  // with ties
  return logits;
}

}  // namespace

TEMPLATE_TEST_CASE("sampler: ids come as often as the softmax says", "", float, double) {
  for (const size_t count : {1, 2, 50, 300})
    for (const double temperature : {0.3, 1.0, 2.5})
      for (const int64_t top_k : {0, 1, 7, 49, 50, 1000}) {
        INFO(count << " ids, temperature " << temperature << ", top " << top_k);
        const auto logits = some_logits<TestType>(count);
        const Sampling sampling{.temperature = temperature, .top_k = top_k};
        constexpr int draws = 4000;
        const auto found = shares(logits, sampling, draws), expected = slow_shares(logits, sampling);
        // Equal steps over the sum hit an interval of length p once more or once less often than p of the time.
        for (size_t id = 0; id < count; ++id) {
          CHECK(std::abs(found[id] - expected[id]) <= 1.01 / draws);
          if (expected[id] == 0) CHECK(found[id] == 0);
        }
      }
}

TEST_CASE("sampler: of equal logits the lower ids belong to the highest") {
  const std::vector<double> logits{1, 3, 2, 3, 3, 2};
  CHECK(shares(logits, {.top_k = 2}, 100) == shares<double>({-1e9, 0, -1e9, 0, -1e9, -1e9}, {}, 100));
  const auto four = shares(logits, {.top_k = 4}, 1000);
  CHECK(four[2] > 0);
  CHECK(four[5] == 0);
  for (const double uniform : {0.0, 0.5, 0.999999})
    CHECK(pick(std::span<const double>(logits), {.temperature = 0, .top_k = 5}, uniform) == 1);
}

TEST_CASE("sampler: the ends of the interval, and temperatures that leave one id") {
  const std::vector<float> logits{-3, 1, 0.5f, -2};
  const auto at = [&](double temperature, double uniform) {
    return pick(std::span<const float>(logits), {.temperature = temperature}, uniform);
  };
  CHECK(at(1, 0) == 0);
  CHECK(at(1, std::nextafter(1.0, 0.0)) == 3);
  for (const double temperature : {1e-3, 1e-30, std::numeric_limits<double>::denorm_min()})
    for (const double uniform : {1e-9, 0.5, 1 - 1e-9}) CHECK(at(temperature, uniform) == 1);
  CHECK(std::abs(shares(logits, {.temperature = 1e300}, 4000)[0] - 0.25) <= 1e-3);
}

TEST_CASE("sampler: logits that are no numbers end the run") {
  for (const float bad : {NAN, INFINITY, -INFINITY})
    for (const size_t at : {0, 5, 40}) {
      std::vector<float> logits(41, 0.5f);
      logits[at] = bad;
      for (const double temperature : {0.0, 1.0})
        CHECK_THROWS_AS(pick(std::span<const float>(logits), {.temperature = temperature}, 0.5), RunError);
    }
}
