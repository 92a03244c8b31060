#pragma once
// Muon and Aurora for one matrix, word for word from the formulas: in double, with real transposes and diagonal matrices. Slow.

#include <array>
#include <cmath>
#include <vector>

namespace kappa::test {

struct Matrix {
  size_t m = 0, n = 0;
  std::vector<double> x = std::vector<double>(m * n);
  double& operator()(size_t i, size_t j) { return x[i * n + j]; }
  double operator()(size_t i, size_t j) const { return x[i * n + j]; }
};

inline Matrix transposed(const Matrix& a) {
  Matrix t{a.n, a.m};
  for (size_t i = 0; i < a.m; ++i)
    for (size_t j = 0; j < a.n; ++j) t(j, i) = a(i, j);
  return t;
}

inline Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix c{a.m, b.n};
  for (size_t i = 0; i < a.m; ++i)
    for (size_t j = 0; j < b.n; ++j)
      for (size_t k = 0; k < a.n; ++k) c(i, j) += a(i, k) * b(k, j);
  return c;
}

/// α·a + β·b
inline Matrix sum(double alpha, const Matrix& a, double beta, const Matrix& b) {
  Matrix c{a.m, a.n};
  for (size_t i = 0; i < c.x.size(); ++i) c.x[i] = alpha * a.x[i] + beta * b.x[i];
  return c;
}

inline double frobenius(const Matrix& a) {
  double squares = 0;
  for (double v : a.x) squares += v * v;
  return std::sqrt(squares);
}

/// `steps` simple quintic iterations from X/(‖X‖ + 1e-7), on the orientation with at most as many rows as columns.
inline Matrix polar(Matrix x, int steps = 5) {
  if (x.m > x.n) return transposed(polar(transposed(x), steps));
  x = sum(1 / (frobenius(x) + 1e-7), x, 0, x);
  for (int i = 0; i < steps; ++i) {
    const Matrix a = x * transposed(x), b = sum(-1.5, a, 0.5, a * a);
    x = sum(2, x, 1, b * x);
  }
  return x;
}

inline Matrix scaled_rows(const std::vector<double>& d, Matrix x) {
  for (size_t i = 0; i < x.m; ++i)
    for (size_t j = 0; j < x.n; ++j) x(i, j) *= d[i];
  return x;
}

inline double row_square(const Matrix& x, size_t i) {
  double squares = 0;
  for (size_t j = 0; j < x.n; ++j) squares += x(i, j) * x(i, j);
  return squares;
}

/// Aurora's O.
inline Matrix aurora_direction(const Matrix& u) {
  if (u.m == u.n) return polar(u);
  if (u.m < u.n) return transposed(aurora_direction(transposed(u)));
  std::vector<double> d(u.m);
  for (size_t i = 0; i < u.m; ++i) d[i] = 1 / std::max(std::sqrt(row_square(u, i)), 1e-7);
  const Matrix first = polar(scaled_rows(d, u));
  for (size_t i = 0; i < u.m; ++i) d[i] *= std::pow(double(u.n) / double(u.m) / std::max(row_square(first, i), 1e-14), 0.5);
  return polar(scaled_rows(d, u));
}

struct OracleRates {
  double lr, weight_decay, momentum, scale;
};

/// A matrix being learned, with its state.
struct Learned {
  Matrix p;
  Matrix momentum = Matrix{p.m, p.n};
  std::vector<double> second_moment = std::vector<double>(std::max(p.m, p.n));

  Matrix nesterov(const Matrix& g, double mu) {
    momentum = sum(mu, momentum, 1 - mu, g);
    return sum(1 - mu, g, mu, momentum);
  }

  void aurora(const Matrix& g, const OracleRates& r) {
    const Matrix o = aurora_direction(nesterov(g, r.momentum));
    p = sum(1 - r.lr * r.weight_decay, p, -r.lr * r.scale, o);
  }

  void muon(const Matrix& g, const OracleRates& r) {
    constexpr std::array<std::array<double, 3>, 5> express{{{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                                            {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                                            {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                                            {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                                            {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}}};
    Matrix x = nesterov(g, r.momentum);
    x = sum(1 / (1.01 * frobenius(x) + 1e-6), x, 0, x);
    for (const auto& [a, b, c] : express) {
      const Matrix gram = x * transposed(x);
      x = sum(a, x, 1, sum(b, gram, c, gram * gram) * x);
    }
    const bool by_row = x.m >= x.n;
    const Matrix lines = by_row ? x : transposed(x);
    double before = 0, after = 0;
    std::vector<double> rate(lines.m);
    for (size_t i = 0; i < lines.m; ++i) {
      const double q = row_square(lines, i) / double(lines.n);
      second_moment[i] = 0.95 * second_moment[i] + 0.05 * q;
      rate[i] = 1 / std::sqrt(std::max(second_moment[i], 1e-10));
      before += double(lines.n) * q, after += double(lines.n) * q * rate[i] * rate[i];
    }
    Matrix normal = scaled_rows(rate, lines);
    normal = sum(std::sqrt(before) / std::max(std::sqrt(after), 1e-10), normal, 0, normal);
    if (!by_row) normal = transposed(normal);
    const double eta = r.lr * r.scale;
    for (size_t i = 0; i < p.x.size(); ++i)
      p.x[i] -= eta * normal.x[i] + (normal.x[i] * p.x[i] >= 0 ? eta * r.weight_decay * p.x[i] : 0);
  }
};

}  // namespace kappa::test
