#pragma once
// Which parameters learn together, and how fast (spec: training §5.3, §6).

#include <string>
#include <vector>

#include "engine/nn/parameter.h"
#include "train/optimizers/matrix_step.h"

namespace kappa {

/// A recipe's numbers as they are configured, and the sizes that scale them.
struct OptimizerSettings {
  double unembedding_lr = 0.004, embedding_lr = 0.3, scalar_lr = 0.5, matrix_lr = 0.01;
  double adam_beta1 = 0.8, adam_beta2 = 0.95;
  double weight_decay = 0.05;  // of the matrices of a model of 12 layers
  MatrixOptimizer matrix_optimizer = MatrixOptimizer::aurora;
  bool match_rms_adamw = true;
  bool iterate_in_bfloat16 = false;
  OptimizerRounding rounding = OptimizerRounding::once;

  int64_t depth = 12;                       // layers
  int64_t model_dim = 768;                  // C
  int64_t batch_tokens = int64_t{1} << 19;  // B: tokens a step
};

/// √(B/2¹⁹), on every learning rate.
double batch_lr_scale(int64_t batch_tokens);
/// (C/768)^−½, on those of lm_head, embeddings and κ.
double model_dim_lr_scale(int64_t model_dim);
/// (12/depth)², on the weight decay.
double depth_decay_scale(int64_t depth);

struct LearningRates {
  double lm_head, embedding, kappa, resid_lambdas, x0_lambdas, matrix;
  double of(Role role) const;
};

/// What the schedules say of one step (train/schedules.h).
struct StepSettings {
  double lr_multiplier = 1;        // lr_multiplier · resume_lr_factor
  double kappa_lr_scale = 1;       // kappa_lr_scale · resume_kappa_factor: κ's factor beside the multiplier
  double weight_decay_factor = 1;  // of the initial weight decay
  double muon_momentum = 0.95;     // Aurora's is fixed
  bool update_kappa = true;        // false: κ's gradients are dropped, its moments and counters stand still
  bool update_lambdas = true;      // false: so it is for resid_lambdas and x0_lambdas
};

/// All rates of one step, after the schedules.
struct StepRates {
  LearningRates lr;
  double weight_decay, matrix_momentum;
};
StepRates rates_at(const OptimizerSettings& settings, const StepSettings& step);

/// Parameters of one role. Matrices are further told apart by shape, and those of dense from those of MoE blocks.
struct ParameterGroup {
  std::string name;  // "value_embeds", "moe [64, 768, 3072]"
  Role role;
  std::vector<Parameter*> members;
  int64_t elements = 0;
};
/// The groups in the order of §6's table, those without members left out.
std::vector<ParameterGroup> group_parameters(ParameterStore& parameters);

}  // namespace kappa
