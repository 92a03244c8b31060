#include "train/optimizers/parameter_groups.h"

#include <cmath>
#include <map>
#include <utility>

#include "train/optimizers/aurora.h"

namespace kappa {

double batch_lr_scale(int64_t batch_tokens) { return std::sqrt(double(batch_tokens) / (1 << 19)); }
double model_dim_lr_scale(int64_t model_dim) { return std::sqrt(768 / double(model_dim)); }
double depth_decay_scale(int64_t depth) { return (12.0 / double(depth)) * (12.0 / double(depth)); }

double LearningRates::of(Role role) const {
  switch (role) {
    case Role::lm_head:
      return lm_head;
    case Role::embedding:
    case Role::value_embedding:
      return embedding;
    case Role::kappa:
      return kappa;
    case Role::resid_lambdas:
      return resid_lambdas;
    case Role::x0_lambdas:
      return x0_lambdas;
    case Role::matrix:
      return matrix;
  }
  throw std::logic_error("a role without a learning rate");
}

StepRates rates_at(const OptimizerSettings& s, const StepSettings& step) {
  const double all = batch_lr_scale(s.batch_tokens) * step.lr_multiplier, wide = all * model_dim_lr_scale(s.model_dim);
  return {.lr = {.lm_head = s.unembedding_lr * wide,
                 .embedding = s.embedding_lr * wide,
                 .kappa = s.embedding_lr * wide * step.kappa_lr_scale,
                 .resid_lambdas = s.scalar_lr * 0.01 * all,
                 .x0_lambdas = s.scalar_lr * all,
                 .matrix = s.matrix_lr * all},
          .weight_decay = s.weight_decay * depth_decay_scale(s.depth) * step.weight_decay_factor,
          .matrix_momentum = s.matrix_optimizer == MatrixOptimizer::muon ? step.muon_momentum : aurora_momentum};
}

/// The place of a group in the table, and its name. Matrices are sorted by shape, the dense blocks' first.
static std::pair<std::vector<int64_t>, std::string> place_of(const ParameterSpec& spec) {
  switch (spec.role) {
    case Role::lm_head:
      return {{0}, "lm_head"};
    case Role::embedding:
      return {{1}, "wte"};
    case Role::value_embedding:
      return {{2}, "value_embeds"};
    case Role::kappa:
      return {{3}, "kappa"};
    case Role::resid_lambdas:
      return {{4}, "resid_lambdas"};
    case Role::x0_lambdas:
      return {{5}, "x0_lambdas"};
    case Role::matrix:
      break;
  }
  require(spec.shape.rank() == 2 || spec.shape.rank() == 3, "{}: a matrix parameter is [m, n] or [E, m, n], found {}", spec.name,
          spec.shape);
  std::vector<int64_t> place{spec.in_moe_block ? 7 : 6};
  for (const int64_t extent : spec.shape.extents()) place.push_back(extent);
  return {place, fmt::format("{} {}", spec.in_moe_block ? "moe" : "dense", spec.shape)};
}

std::vector<ParameterGroup> group_parameters(ParameterStore& parameters) {
  std::map<std::vector<int64_t>, ParameterGroup> sorted;
  for (Parameter& p : parameters.parameters()) {
    auto [place, name] = place_of(p.spec);
    ParameterGroup& group = sorted.try_emplace(place, ParameterGroup{std::move(name), p.spec.role, {}}).first->second;
    group.members.push_back(&p);
    group.elements += p.spec.shape.size();
  }
  std::vector<ParameterGroup> groups;
  groups.reserve(sorted.size());
  for (auto& [place, group] : sorted) groups.push_back(std::move(group));
  return groups;
}

}  // namespace kappa
