#include "train/optimizers/muon.h"

#include <algorithm>

#include "tests/train/matrix_problem.h"

using namespace kappa;
using namespace kappa::test;

namespace {

void muon(const MatrixTensors& t, const Matrix& gradient, const MatrixRates& rates) {
  set_gradient(t.parameter, gradient.x);
  matrix_step({MatrixOptimizer::muon}, std::span(&t, 1), rates);
}

MatrixRates rates_of(int64_t m, int64_t n) {
  return {.lr = 0.05, .weight_decay = 0.1, .momentum = 0.95, .scale = aspect_scale(m, n, false)};
}

}  // namespace

TEST_CASE("muon: the scale of an update follows the stored shape") {
  struct Case {
    int64_t m, n;
    double matched, original;
  };
  for (const auto& [m, n, matched, original] : std::vector<Case>{{3, 4, 0.4, 1},
                                                                 {24, 24, 0.979796, 1},
                                                                 {768, 768, 1, 1},
                                                                 {3072, 768, 1, 2},
                                                                 {768, 3072, 1, 1},
                                                                 {6, 32, 1, 1},
                                                                 {64, 768, 1, 1},
                                                                 {4, 3, 0.4, 1.154701}}) {
    CHECK(aspect_scale(m, n, true) == Approx(matched).margin(1e-6));
    CHECK(aspect_scale(m, n, false) == Approx(original).margin(1e-6));
  }
}

TEST_CASE("muon: two known steps") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const MatrixTensors t = matrix_tensors(known_parameter, dtype);
    muon(t, known_gradients[0], rates_of(3, 4));
    check_known(t.second_moment, {0.010605, 0.005075, 0.012337, 0.014806});
    check_known(t.parameter, {-0.017717, 0.127017, 0.176935, 0.273569, 0.435842, 0.475571, 0.575279, 0.690066, 0.793298, 0.875624,
                              1.025440, 1.063793});
    muon(t, known_gradients[1], rates_of(3, 4));
    check_known(t.second_moment, {0.021883, 0.006585, 0.030510, 0.031653});
    check_known(t.parameter, {-0.020508, 0.107041, 0.165832, 0.226639, 0.429762, 0.479159, 0.525503, 0.695160, 0.838242, 0.846202,
                              1.015053, 1.057140});
  }
}

TEST_CASE("muon: a known step of a tall matrix, with its scale") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const MatrixTensors t = matrix_tensors(transposed(known_parameter), dtype);
    muon(t, transposed(known_gradients[0]), rates_of(4, 3));
    check_known(t.parameter, {-0.020458, 0.441387, 0.792261, 0.131197, 0.471792, 0.871853, 0.173367, 0.571455, 1.029375, 0.269480,
                              0.688529, 1.058192});
  }
}

TEST_CASE("muon: every expert is a matrix of its own, at ragged sizes") {
  check_against_oracle(MatrixOptimizer::muon, 1, 1, 1, 2);
  check_against_oracle(MatrixOptimizer::muon, 1, 6, 32, 3);
  check_against_oracle(MatrixOptimizer::muon, 3, 5, 17, 3);
  check_against_oracle(MatrixOptimizer::muon, 3, 17, 5, 3);
  check_against_oracle(MatrixOptimizer::muon, 2, 9, 9, 3);
  check_against_oracle(MatrixOptimizer::muon, 2, 70, 300, 1);
  check_against_oracle(MatrixOptimizer::muon, 2, 300, 70, 1);
}

TEST_CASE("muon: decay acts only where the update points to zero, or is zero") {
  // With a gradient of zeros the update is zero, which counts as agreeing: everything decays, by lr·scale·wd.
  const MatrixTensors still = matrix_tensors({3, 4}, DType::f64, std::vector<double>(12, 0.5));
  muon(still, Matrix{3, 4}, {.lr = 0.25, .weight_decay = 0.5, .momentum = 0.95, .scale = 2});
  CHECK(to_doubles(still.parameter) == std::vector<double>(12, 0.375));

  // From zeros a parameter moves by the bare update. From 1 and −1 it moves by the same and, where that points to zero, by the
  // decay.
  const auto moved_from = [](double start) {
    const MatrixTensors t = matrix_tensors({3, 4}, DType::f64, std::vector<double>(12, start));
    muon(t, known_gradients[0], {.lr = 0.125, .weight_decay = 0.5, .momentum = 0.95});
    return to_doubles(t.parameter);
  };
  const auto bare = moved_from(0), from_above = moved_from(1), from_below = moved_from(-1);
  CHECK(std::ranges::min(bare) < 0);
  CHECK(std::ranges::max(bare) > 0);
  for (size_t i = 0; i < 12; ++i) {
    CHECK(from_above[i] == Approx(1 + bare[i] - (bare[i] < 0 ? 0.0625 : 0)).epsilon(1e-12));
    CHECK(from_below[i] == Approx(-1 + bare[i] + (bare[i] > 0 ? 0.0625 : 0)).epsilon(1e-12));
  }
}
