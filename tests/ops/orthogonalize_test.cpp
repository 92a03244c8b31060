// The two forms of the polar iterations against one another, on matrices that are easy and on such that are not.

#include "engine/ops/orthogonalize/orthogonalize.h"

#include <cmath>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "tests/support/catch.h"

using namespace kappa;

namespace {

const std::vector<Quintic> steps(5, Quintic{2, -1.5, 0.5});

/// [E, m, n] of Frobenius norm 1/1.01: normal, or with singular directions that fall to 1e-6, or of rank min(m, n)/4.
std::vector<double> matrices(const MatrixBatch& batch, const std::string& kind) {
  const int64_t side = batch.side(), rank = kind == "low rank" ? std::max<int64_t>(1, side / 4) : side;
  std::vector<double> x(size_t(batch.count * batch.size()));
  for (int64_t e = 0; e < batch.count; ++e) {
    const Random left(7, "left", uint64_t(e)), right(7, "right", uint64_t(e));
    double squares = 0;
    double* const matrix = x.data() + e * batch.size();
    for (int64_t i = 0; i < batch.rows; ++i)
      for (int64_t j = 0; j < batch.columns; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < rank; ++k) {
          const double weight = kind == "ill-conditioned" ? std::pow(10.0, -6.0 * double(k) / double(rank)) : 1.0;
          sum += weight * left.normal<double>(i * rank + k) * right.normal<double>(j * rank + k);
        }
        matrix[i * batch.columns + j] = sum;
        squares += sum * sum;
      }
    for (int64_t i = 0; i < batch.size(); ++i) matrix[i] /= 1.01 * std::sqrt(squares);
  }
  return x;
}

template <class W>
std::vector<double> polar(const MatrixBatch& batch, const std::vector<double>& x, PolarForm form) {
  const OrthogonalizeSpace<W, CpuQueue> space(CpuQueue{}, batch, form);
  for (size_t i = 0; i < x.size(); ++i) space.x()[i] = W(x[i]);
  const W* const y = orthogonalize(CpuQueue{}, batch, std::span(steps), space);
  return {y, y + x.size()};
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double off = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) off += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
  return std::sqrt(off / size);
}

}  // namespace

TEST_CASE("orthogonalize: Gram space gives what the direct form gives") {
  const auto batch = GENERATE(MatrixBatch{3, 5, 5}, MatrixBatch{2, 33, 70}, MatrixBatch{2, 129, 40}, MatrixBatch{1, 1, 9},
                              MatrixBatch{1, 96, 384}, MatrixBatch{2, 7, 1});
  const auto kind = GENERATE(as<std::string>(), "random", "ill-conditioned", "low rank");
  INFO(batch.rows << " x " << batch.columns << ", " << kind);
  const std::vector<double> x = matrices(batch, kind), exact = polar<double>(batch, x, PolarForm::direct);
  // Five polynomials multiply small singular values, and with them their errors, by up to 2⁵; in Gram space their squares, by 4⁵.
  CHECK(relative_distance(polar<double>(batch, x, PolarForm::gram), exact) < 1024 * 0x1p-51);
  CHECK(relative_distance(polar<float>(batch, x, PolarForm::direct), exact) < 32 * 0x1p-23);
  CHECK(relative_distance(polar<float>(batch, x, PolarForm::gram), exact) < 1024 * 0x1p-22);
}

TEST_CASE("orthogonalize: the cheaper form is Gram space where matrices are long") {
  CHECK(cheaper_form<float>({1, 3, 400}) == PolarForm::direct);
  CHECK(cheaper_form<float>({1, 64, 64}) == PolarForm::direct);
  CHECK(cheaper_form<float>({1, 64, 256}) == PolarForm::gram);
  CHECK(cheaper_form<float>({1, 256, 64}) == PolarForm::gram);
  CHECK(cheaper_form<bfloat16>({1, 256, 64}) == PolarForm::direct);
}
