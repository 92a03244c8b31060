#include "train/aux_free.h"

#include <vector>

#include "tests/support/catch.h"

using namespace kappa;

TEST_CASE("aux-free balancing: crowded experts lose, the others gain, and the mean stays 0") {
  std::vector<double> bias(4, 0.0);
  const std::vector<int32_t> counts{10, 2, 4, 4};
  update_expert_bias<double>(bias, counts);
  const std::vector<double> expected{-0.0015, 0.0005, 0.0005, 0.0005};
  for (size_t e = 0; e < 4; ++e) CHECK(bias[e] == Approx(expected[e]).epsilon(1e-12));

  std::vector<float> single(4, 0.0f);
  update_expert_bias<float>(single, counts, 0.1);
  for (size_t e = 0; e < 4; ++e) CHECK(single[e] == Approx(100 * expected[e]).epsilon(1e-6));
}

TEST_CASE("aux-free balancing: an expert at the mean keeps its bias but for the centring, without counts nothing moves") {
  std::vector<double> bias{0.25, 0.5, 0.125};
  update_expert_bias<double>(bias, std::vector<int32_t>{0, 0, 0});
  CHECK(bias == std::vector<double>{0.25, 0.5, 0.125});
  update_expert_bias<double>(bias, std::vector<int32_t>{5, 7, 3}, 0.25);  // signs 0, −, +: 0.25, 0.25, 0.375, of mean 7/24
  const std::vector<double> expected{-1.0 / 24, -1.0 / 24, 2.0 / 24};
  for (size_t e = 0; e < 3; ++e) CHECK(bias[e] == Approx(expected[e]).epsilon(1e-12));
}
