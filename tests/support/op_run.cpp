#include "tests/support/op_run.h"

#include <algorithm>
#include <cmath>

#include "engine/device/host_grid.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"

namespace kappa::test {

using Numbers = std::vector<double>;

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

static Numbers cotangent(const Tensor& y, size_t output) {
  std::mt19937_64 random(100 + output);
  auto values = random_values(y.size(), random, -1, 1);
  for (double& v : values) v = float(bfloat16(float(v)));
  return values;
}

Run::Run(const OpCase& c, DType dtype, Device device) : case_(c) {
  std::mt19937_64 random(7);
  for (const Input& in : c.inputs) inputs_.push_back(make(in, dtype, device, random));
}

void Run::forward_backward(int calls) {
  Tape tape;
  std::vector<Tensors> results;
  for (int i = 0; i < calls; ++i) results.push_back(case_.call(inputs_));
  for (const Tensors& outputs : results)
    for (size_t o = 0; o < outputs.size(); ++o)
      if (outputs[o].tracked()) contribute_values(outputs[o], cotangent(outputs[o], o));
  outputs_ = results.front();
  ops_ = tape.ops();
  tape.run();
}

double Run::objective(double* scale) const {
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

std::vector<Numbers> Run::results() const {
  std::vector<Numbers> all;
  for (const Tensor& y : outputs_) all.push_back(to_doubles(y));
  for (const Tensor& x : inputs_)
    if (x.tracked()) all.push_back(gradient_of(x));
  return all;
}

std::vector<DType> Run::result_types() const {
  std::vector<DType> all;
  for (const Tensor& y : outputs_) all.push_back(y.dtype());
  for (const Tensor& x : inputs_)
    if (x.tracked()) all.push_back(x.gradient()->dtype);
  return all;
}

/// The distance from |x| to the next bfloat16.
static double bf16_step(double x) { return x == 0 ? 0 : std::ldexp(1.0, std::ilogb(x) - 7); }

/// The greatest distance of two bfloat16 results, in steps of the greater value. Where a sum cancels, its terms err by more than
/// the small result's steps are wide: that much, `terms` of what the results are like, is no distance.
static double bf16_steps(const Numbers& found, const Numbers& expected, double terms) {
  double norm = 0, most = 0;
  for (double value : expected) norm += value * value;
  const double rms = std::sqrt(norm / std::max<double>(1, double(expected.size())));
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(found[i])) return INFINITY;
    const double off = std::abs(found[i] - expected[i]) - terms * rms;
    if (off > 0) most = std::max(most, off / bf16_step(std::max(std::abs(found[i]), std::abs(expected[i]))));
  }
  return most;
}

// In norm. Two float32 numbers that differ by δ round to different bfloat16 with a probability of δ·2⁸, and are then about 2⁻⁸
// apart: together 2⁻⁸·√(δ·2⁸). With the GPU's approximate exponential δ is 2⁻²¹, with a gradient in two bfloat16 2⁻¹⁷, and that
// is 2⁻¹⁴ and 2⁻¹². A rounding too many would be 2⁻⁹ of every value.
//
// What a model of bfloat16 stores as float32 is held to 4e-6: tensor cores cut off what they add, and the CPU, whose result is
// the other one here, carries sums of thousands of terms in float32.
void check_against_cpu(const OpCase& c, Device device) {
  for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    Run there(c, dtype, device), cpu(c, dtype == DType::f32 ? DType::f64 : dtype);
    there.forward_backward();
    cpu.forward_backward();
    const auto found = there.results(), expected = cpu.results();
    const auto types = there.result_types();
    REQUIRE(found.size() == expected.size());
    for (size_t r = 0; r < expected.size(); ++r) {
      INFO("result " << r << " of " << expected.size() << ", " << name_of(types[r]) << " in a model of " << name_of(dtype));
      const double off = relative_distance(found[r], expected[r]);
      if (types[r] == DType::i32)
        CHECK(found[r] == expected[r]);
      else if (dtype != DType::bf16)
        CHECK(off <= (dtype == DType::f64 ? 1e-14 : 1e-6));
      else if (types[r] == DType::bf16) {
        CHECK(bf16_steps(found[r], expected[r], c.bf16_terms) <= c.bf16_roundings);
        CHECK(off <= c.bf16_roundings * 0x1p-12);
      } else
        CHECK(off <= (c.bf16_roundings > 1 ? c.bf16_roundings * 0x1p-14 : 4e-6));
    }
    for (auto order : {host_grid::Order::descending, host_grid::Order::shuffled}) {
      const host_grid::OrderScope scope(order);
      Run again(c, dtype, device);
      again.forward_backward();
      CHECK(again.results() == found);
    }
  }
}

}  // namespace kappa::test
