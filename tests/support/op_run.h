#pragma once
// What one case of an op gives (op_case.h), and one device's results held against the CPU's.

#include <string_view>

#include "tests/support/op_case.h"

namespace kappa::test {

/// One op with its inputs made for a model of type `dtype`, and what a forward and a backward pass give.
class Run {
 public:
  Run(const OpCase& c, DType dtype, Device device = Device::cpu);

  Tensors& inputs() { return inputs_; }

  /// Runs the op `calls` times on the same inputs, each time under the same random cotangent; leaves the gradients in the inputs.
  void forward_backward(int calls = 1);

  /// ⟨cotangents, outputs⟩ of a pass that is not recorded; `scale` gets the sum of the terms' sizes, which bounds its rounding.
  double objective(double* scale = nullptr) const;

  /// Outputs, then the gradients of all tracked inputs.
  std::vector<std::vector<double>> results() const;
  /// How each of these is stored.
  std::vector<DType> result_types() const;
  size_t output_count() const { return outputs_.size(); }
  const std::vector<std::string_view>& ops() const { return ops_; }

 private:
  const OpCase& case_;
  Tensors inputs_, outputs_;
  std::vector<std::string_view> ops_;
};

/// Runs the case on `device` in every type and checks what it gives:
///   float64   the CPU's, up to the order of sums;
///   float32   what the CPU computes in float64 from the same inputs, to 1e-6 of the norm;
///   bfloat16  the CPU's: what is stored as bfloat16 within one rounding, value by value, few of them apart at all, and the rest
///             as float32; from an op that rounds inside, too, as many roundings as the case declares.
/// And that two more runs give the same bits; on the host's model of the grid, with its threads in other orders. Throws what the
/// op throws.
void check_against_cpu(const OpCase& c, Device device);

}  // namespace kappa::test
