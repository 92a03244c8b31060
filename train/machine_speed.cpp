#include "train/machine_speed.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/device/gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "train/timing.h"

namespace kappa {
namespace {

/// Seconds of the fastest of a few calls of `body`.
template <class Body>
double fastest(Body body) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 7; ++i) best = std::min(best, seconds_of(body));
  return best;
}

Scratch<float> ones(int64_t n) {
  Scratch<float> memory(CpuQueue{}, n);
  std::fill_n(static_cast<float*>(memory), n, 1.0f);
  return memory;
}

}  // namespace

/// Of a product of two matrices of this size.
static double product_seconds(int64_t side) {
  const Scratch<float> a = ones(side * side), b = ones(side * side), c = ones(side * side);
  const GemmShape shape{.m = side, .n = side, .k = side};
  return fastest([&] { gemm<float, float>(CpuQueue{}, shape, a, b, GradOut<float>{c}); });
}

double measure_product_rate() {
  int64_t side = 256;
  double seconds = product_seconds(side);
  // Large enough for all threads, and no larger: this is done whenever a run begins.
  while (seconds < 0.01 && side < 8192) seconds = product_seconds(side *= 2);
  return 2.0 * double(side * side * side) / seconds;
}

double measure_copy_rate() {
  constexpr int64_t size = int64_t{1} << 24;
  const Scratch<float> from = ones(size), to = ones(size);
  const double seconds = fastest([&] {
    parallel_ranges(size, 1 << 18,
                    [&](Range r) { std::memcpy(to + r.begin, from + r.begin, size_t(r.end - r.begin) * sizeof(float)); });
  });
  return 2.0 * sizeof(float) * double(size) / seconds;
}

double measure_library(const ProductShape& s) {
  const Scratch<float> a = ones(s.batch * s.m * s.k), b = ones(s.batch * s.k * s.n), c = ones(s.batch * s.m * s.n);
  const auto multiply = [&](int64_t i) {
    multiply_tile<float>({.m = s.m,
                          .n = s.n,
                          .k = s.k,
                          .a = a + i * s.m * s.k,
                          .a_stride = s.transpose_a ? s.m : s.k,
                          .transpose_a = s.transpose_a,
                          .b = b + i * s.k * s.n,
                          .b_stride = s.transpose_b ? s.k : s.n,
                          .transpose_b = s.transpose_b,
                          .c = c + i * s.m * s.n,
                          .c_stride = s.n});
  };
  set_blas_threads(threads());
  const double by_itself = seconds_of([&] {
    for (int64_t i = 0; i < s.batch; ++i) multiply(i);
  });
  set_blas_threads(1);
  return s.batch == 1 ? by_itself : std::min(by_itself, seconds_of([&] { parallel_for(s.batch, multiply); }));
}

}  // namespace kappa
