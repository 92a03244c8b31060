// Every registered case of every op, held against what is true of all of them (support/op_case.h).

#include "tests/support/op_case.h"
#include "tests/support/sum_tolerance.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/device/host_grid.h"
#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// One op with its inputs made for a model of type `dtype`, and what a forward and a backward pass give.
class Run {
 public:
  Run(const OpCase& c, DType dtype, Device device = Device::cpu) : case_(c) {
    std::mt19937_64 random(7);
    for (const Input& in : c.inputs) inputs_.push_back(make(in, dtype, device, random));
  }

  Tensors& inputs() { return inputs_; }

  /// Runs the op `calls` times on the same inputs, each time under the same random cotangent; leaves the gradients in the inputs.
  void forward_backward(int calls = 1) {
    Tape tape;
    std::vector<Tensors> results;
    for (int i = 0; i < calls; ++i) results.push_back(case_.call(inputs_));
    for (const Tensors& outputs : results)
      for (size_t o = 0; o < outputs.size(); ++o) seed(outputs[o], o);
    outputs_ = results.front();
    ops_ = tape.ops();
    tape.run();
  }

  /// ⟨cotangents, outputs⟩ of a pass that is not recorded; `scale` gets the sum of the terms' sizes, which bounds its rounding.
  double objective(double* scale = nullptr) const {
    const Tensors outputs = case_.call(inputs_);
    long double sum = 0, size = 0;
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o].dtype() == DType::i32) continue;
      const auto y = to_doubles(outputs[o]), dy = cotangent(outputs[o], o);
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i], size += std::abs(y[i] * dy[i]);
    }
    if (scale) *scale = double(size);
    return double(sum);
  }

  /// Outputs, then the gradients of all tracked inputs.
  std::vector<std::vector<double>> results() const {
    std::vector<std::vector<double>> all;
    for (const Tensor& y : outputs_) all.push_back(to_doubles(y));
    for (const Tensor& x : inputs_)
      if (x.tracked()) all.push_back(gradient_of(x));
    return all;
  }
  size_t output_count() const { return outputs_.size(); }
  const std::vector<std::string_view>& ops() const { return ops_; }

 private:
  static Tensor make(const Input& in, DType dtype, Device device, std::mt19937_64& random) {
    // Values that bfloat16 can represent, so that every type gets the same ones.
    auto values = in.values.empty() ? random_values(in.shape.size(), random, in.low, in.high) : in.values;
    if (in.kind != Kind::integers)
      for (double& v : values) v = float(bfloat16(float(v)));
    const auto stored = [&](DType type) { return Tensor::empty(in.shape, type, device); };
    Tensor x;
    switch (in.kind) {
      case Kind::activation:
        x = stored(dtype).track();
        break;
      case Kind::wide_activation:
        x = stored(wide(dtype)).track();
        break;
      case Kind::weight:
        x = parameter(in.shape, dtype, wide(dtype), device);
        break;
      case Kind::parameter:
        x = parameter(in.shape, wide(dtype), wide(dtype), device);
        break;
      case Kind::constant:
        x = stored(dtype);
        break;
      case Kind::wide_constant:
        x = stored(wide(dtype));
        break;
      case Kind::integers:
        x = stored(DType::i32);
        break;
    }
    set_values(x, values);
    return x;
  }

  static std::vector<double> cotangent(const Tensor& y, size_t output) {
    std::mt19937_64 random(100 + output);
    auto values = random_values(y.size(), random, -1, 1);
    for (double& v : values) v = float(bfloat16(float(v)));
    return values;
  }
  static void seed(const Tensor& y, size_t output) {
    if (y.tracked()) contribute_values(y, cotangent(y, output));
  }

  const OpCase& case_;
  Tensors inputs_, outputs_;
  std::vector<std::string_view> ops_;
};

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

/// What is to be seen of two devices' results in one type. Float32 and float64: no more than the order of sums explains.
/// Bfloat16: each stored value within one rounding, but for an op that rounds inside, too.
void check_equal(const OpCase& c, DType dtype, const std::vector<std::vector<double>>& found,
                 const std::vector<std::vector<double>>& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t r = 0; r < expected.size(); ++r) {
    INFO("result " << r << " of " << expected.size() << " in " << name_of(dtype));
    const double off = relative_distance(found[r], expected[r]);
    CHECK(off <= (dtype == DType::f64 ? 1e-14 : dtype == DType::f32 ? sum_tolerance : c.bf16_roundings * 0x1p-9));
    if (dtype != DType::bf16) continue;
    double norm = 0;
    for (double value : expected[r]) norm += value * value;
    const double rms = std::sqrt(norm / std::max<double>(1, double(expected[r].size())));
    size_t outside = 0;
    for (size_t i = 0; i < expected[r].size(); ++i)
      outside += !(std::abs(found[r][i] - expected[r][i]) <=
                   c.bf16_roundings * (0x1p-8 * std::abs(expected[r][i]) + 0x1p-14 * rms) + 0x1p-24);
    CHECK(outside == 0);
  }
}

/// Every case on a device against the CPU; the ops that refuse.
std::set<std::string> compare_with_cpu(Device device) {
  std::set<std::string> refused;
  for_all_cases([&](const OpCase& c) {
    for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      Run cpu(c, dtype), there(c, dtype, device);
      try {
        there.forward_backward();
      } catch (const InputError& error) {
        // A case that brings a tensor of its own brings one of the CPU.
        const std::string name = name_of(device);
        CHECK_THAT(error.what(), contains("has no kernels for --device " + name + " yet; --device cpu has them all") ||
                                     contains("must be on " + name + ", found on cpu"));
        refused.insert(c.op);
        return;
      }
      cpu.forward_backward();
      check_equal(c, dtype, there.results(), cpu.results());
      for (auto order : {host_grid::Order::descending, host_grid::Order::shuffled}) {  // the same bits again, in any order
        const host_grid::OrderScope scope(order);
        Run again(c, dtype, device);
        again.forward_backward();
        CHECK(again.results() == there.results());
      }
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
