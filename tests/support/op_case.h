#pragma once
// One case of one op, declared once. From it come (op_case_test.cpp): a gradient check by finite differences in float64 under a
// random cotangent (a cotangent of ones hides errors: it makes the gradient of a softmax identically zero); float32 and bfloat16
// against float64; first contribution against later ones; equal bits in a second run and for any number of threads, from poisoned
// memory; and the CUDA kernels against the CPU's, on the host's model of the grid and, where there is one, on a GPU.

#include <functional>
#include <string>
#include <vector>

#include "engine/autograd/tape.h"

namespace kappa::test {

/// How an input is stored in a model of type T.
enum class Kind {
  activation,       // T, its gradient T
  wide_activation,  // Wide<T>, its gradient Wide<T>
  weight,           // T (a compute copy), with a parameter's gradient in Wide<T>
  parameter,        // Wide<T>, with a parameter's gradient in Wide<T>
  constant,         // T, no gradient
  wide_constant,    // Wide<T>, no gradient
  integers,         // int32, no gradient
};

struct Input {
  Kind kind;
  Shape shape;
  double low = -2, high = 2;        // values are uniform in between
  std::vector<double> values = {};  // or these
};

struct OpCase {
  std::string op;    // the name on the tape
  std::string what;  // what is special about the case
  std::vector<Input> inputs;
  std::function<Tensors(const Tensors&)> call;
  /// Where an op scales a gradient on purpose: the factor by which input k's gradient differs from the true one.
  std::function<double(size_t k)> grad_factor = [](size_t) { return 1.0; };
  /// Roundings to bfloat16 that lie in a row between inputs and results, where the op rounds inside too.
  double bf16_roundings = 1;
  /// What the terms of sums may err by in a model of bfloat16, relative to the size of a result: seen where a sum cancels.
  double bf16_terms = 0x1p-20;
};

/// Cases register themselves: `static const Case swiglu{{.op = "swiglu", …}};`
struct Case {
  explicit Case(OpCase c);
};
const std::vector<OpCase>& all_cases();

/// Integers as the values of an input.
inline Input integers(Shape shape, std::vector<double> values) {
  return {.kind = Kind::integers, .shape = shape, .values = std::move(values)};
}

}  // namespace kappa::test
