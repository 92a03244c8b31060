// Every registered case of every op, held against what is true of all of them (support/op_case.h).

#include <algorithm>
#include <set>

#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"
#include "tests/support/op_run.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

template <class Check>
void for_all_cases(Check check) {
  host_step_slab().poison(true);
  for (const OpCase& c : all_cases()) {
    INFO(c.op << ": " << c.what);
    check(c);
  }
  host_step_slab().poison(false);
}

}  // namespace

TEST_CASE("ops: the tape's name is the case's") {
  for_all_cases([](const OpCase& c) {
    Run run(c, DType::f64);
    run.forward_backward();
    CHECK(std::ranges::count(run.ops(), c.op) == 1);
  });
}

TEST_CASE("ops: gradients match finite differences in float64 under random cotangents") {
  for_all_cases([](const OpCase& c) {
    Run run(c, DType::f64);
    run.forward_backward();
    double scale = 0;
    run.objective(&scale);
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      const Tensor& x = run.inputs()[k];
      if (!x.tracked()) continue;
      const auto dx = gradient_of(x), at = to_doubles(x);
      for (uint64_t trial = 0; trial < 3; ++trial) {
        std::mt19937_64 random(1000 * k + trial);
        const auto direction = random_values(x.size(), random, -1, 1);
        const auto along = [&](double epsilon) {
          auto moved = at;
          for (size_t i = 0; i < moved.size(); ++i) moved[i] += epsilon * direction[i];
          set_values(x, moved);
          const double value = run.objective();
          set_values(x, at);
          return value;
        };
        const double step = 1e-5, measured = (along(step) - along(-step)) / (2 * step);
        double computed = 0;
        for (size_t i = 0; i < dx.size(); ++i) computed += dx[i] * direction[i];
        // A central difference errs by about step² in proportion and by (rounding of the objective)/step in absolute terms.
        const double rounding = 2e-16 * (scale + 1) / step;
        INFO("input " << k << ", direction " << trial);
        CHECK(computed == Approx(measured * c.grad_factor(k)).epsilon(1e-7).margin(1e-8 + rounding));
      }
    }
  });
}

TEST_CASE("ops: the first contribution to a gradient overwrites, the second adds") {
  for_all_cases([](const OpCase& c) {
    Run once(c, DType::f64), twice(c, DType::f64);
    once.forward_backward(1);
    twice.forward_backward(2);
    const auto a = once.results(), b = twice.results();
    for (size_t r = once.output_count(); r < a.size(); ++r)
      for (size_t i = 0; i < a[r].size(); ++i) CHECK(b[r][i] == Approx(2 * a[r][i]).epsilon(1e-12).margin(1e-13));
  });
}

TEST_CASE("ops: float32 and bfloat16 give what float64 gives, up to their rounding") {
  for_all_cases([](const OpCase& c) {
    Run exact(c, DType::f64), single(c, DType::f32), half(c, DType::bf16);
    for (Run* run : {&exact, &single, &half}) run->forward_backward();
    const auto e = exact.results(), s = single.results(), h = half.results();
    for (size_t r = 0; r < e.size(); ++r) {
      INFO("result " << r << " of " << e.size());
      CHECK(relative_distance(s[r], e[r]) <= 4e-6);  // some 2⁻²⁴ of rounding a step, over sums of a few hundred
      CHECK(relative_distance(h[r], e[r]) <= c.bf16_roundings * 0x1p-8);  // each store errs by at most 2⁻⁹ of its value
    }
  });
}

TEST_CASE("ops: the same bits in a second run and for any number of threads") {
  const int before = threads();
  for_all_cases([](const OpCase& c) {
    std::vector<std::vector<std::vector<double>>> results;
    for (int count : {1, 2, 2, 3}) {
      set_threads(count);
      Run run(c, DType::f32);
      run.forward_backward();
      results.push_back(run.results());
    }
    for (const auto& other : results) CHECK(other == results.front());
  });
  set_threads(before);
}

namespace {

/// Ops that run on the CPU alone so far. A family gets its kernels, and its ops leave this list; when it is empty, whole models
/// run on the GPU.
const std::set<std::string> without_cuda_kernels = {"attention",  "embedding",   "masked_mean", "mean_square",
                                                    "rms_floor",  "rms_norm",    "rotary",      "softcapped_cross_entropy",
                                                    "value_gate", "weighted_sum"};

/// Every case on a device against the CPU; the ops that refuse.
std::set<std::string> compare_with_cpu(Device device) {
  std::set<std::string> refused;
  for_all_cases([&](const OpCase& c) {
    try {
      check_against_cpu(c, device);
    } catch (const InputError& error) {
      // A case that brings a tensor of its own brings one of the CPU.
      const std::string name = name_of(device);
      CHECK_THAT(error.what(), contains("has no kernels for --device " + name + " yet; --device cpu has them all") ||
                                   contains("must be on " + name + ", found on cpu"));
      refused.insert(c.op);
    }
  });
  return refused;
}

}  // namespace

TEST_CASE("ops: the CUDA kernels, on the host, compute what the CPU's compute, the same bits in any order of threads") {
  CHECK(compare_with_cpu(Device::emulated) == without_cuda_kernels);
}

TEST_CASE("gpu: ops compute what the CPU's compute") {
  if (no_gpu()) return;
  CHECK(compare_with_cpu(Device::cuda) == without_cuda_kernels);
}
