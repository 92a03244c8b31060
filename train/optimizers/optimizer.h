#pragma once
// The optimizer of a model: AdamW for embeddings, lm_head, κ and the lambdas, Aurora or Muon for the matrices.

#include <string>
#include <vector>

#include "train/optimizers/adamw.h"
#include "train/optimizers/parameter_groups.h"

namespace kappa {

/// A piece of the optimizer's state under the name that a checkpoint gives it: the parameter's and, after a dot, what it is.
///
///     AdamW: first_moment, second_moment, updates (int32 [1])      Aurora: momentum      Muon: momentum, second_moment
struct StateTensor {
  std::string name;
  Tensor value;
};

class Optimizer {
 public:
  /// Takes memory for the state of all parameters that get a gradient, zeroed; the others never move. The store must have been
  /// allocated and must outlive it.
  Optimizer(ParameterStore& parameters, const OptimizerSettings& settings);

  /// Updates all parameters by their gradients, refreshes the compute copies and zeroes the gradients. A parameter whose gradient
  /// is all zeros is updated like any other. Throws RunError, naming parameter, tensor and place, if a value is not finite; the
  /// parameters are then lost.
  void step(const StepSettings& step);

  /// In a fixed order; writing into the values restores a state.
  const std::vector<StateTensor>& state() const { return state_; }
  int64_t state_bytes() const { return slab_.size(); }
  /// The same for a store that is only declared, of a model that computes in `compute`.
  static int64_t state_bytes(const ParameterStore& parameters, const OptimizerSettings& settings, DType compute,
                             Narrow narrow = Narrow::none);

 private:
  struct Group {
    Role role;
    std::vector<AdamWTensors> adamw;      // of all roles but Role::matrix
    std::vector<MatrixTensors> matrices;  // of Role::matrix
  };
  Group group_of(const ParameterGroup& members);
  std::vector<Tensor> take_state(const Parameter& parameter);

  ParameterStore& parameters_;
  OptimizerSettings settings_;
  PersistentSlab slab_;
  std::vector<StateTensor> state_;
  std::vector<Group> groups_;
};

}  // namespace kappa
