#include "train/optimizers/optimizer.h"

namespace kappa {
namespace {

constexpr double adamw_eps = 1e-10;
constexpr double x0_lambdas_beta1 = 0.96, x0_lambdas_beta2 = 0.95;  // whatever the settings say (spec: training §6)

struct StatePart {
  std::string_view what;
  Shape shape;
  DType dtype;
};

/// What is kept of a parameter between steps.
std::vector<StatePart> state_parts(const ParameterSpec& spec, const OptimizerSettings& settings, DType dtype) {
  if (!spec.gets_gradient) return {};
  if (spec.role != Role::matrix)
    return {{"first_moment", spec.shape, dtype}, {"second_moment", spec.shape, dtype}, {"updates", {1}, DType::i32}};
  if (settings.matrix_optimizer == MatrixOptimizer::aurora) return {{"momentum", spec.shape, dtype}};
  const int64_t lines = std::max(spec.shape[-2], spec.shape[-1]);
  const Shape by_line = spec.shape.rank() == 3 ? Shape{spec.shape[0], lines} : Shape{lines};
  return {{"momentum", spec.shape, dtype}, {"second_moment", by_line, dtype}};
}

}  // namespace

int64_t Optimizer::state_bytes(const ParameterStore& parameters, const OptimizerSettings& settings, DType compute,
                               Narrow narrow) {
  int64_t bytes = 0;
  for (const Parameter& p : parameters.parameters())
    for (const StatePart& part : state_parts(p.spec, settings, ParameterStore::master_dtype(p.spec, compute, narrow)))
      bytes += PersistentSlab::footprint(part.shape.size() * size_of(part.dtype));
  return bytes;
}

Optimizer::Optimizer(ParameterStore& parameters, const OptimizerSettings& settings)
    : parameters_(parameters),
      settings_(settings),
      slab_(state_bytes(parameters, settings, parameters.compute_dtype(), parameters.narrow())) {
  for (const ParameterGroup& members : group_parameters(parameters)) groups_.push_back(group_of(members));
}

std::vector<Tensor> Optimizer::take_state(const Parameter& parameter) {
  std::vector<Tensor> taken;
  for (const auto& [what, shape, dtype] : state_parts(parameter.spec, settings_, parameter.master.dtype())) {
    taken.push_back(Tensor::over(slab_.take(shape.size() * size_of(dtype)), shape, dtype));
    state_.push_back({parameter.spec.name + "." + std::string(what), taken.back()});
  }
  return taken;
}

Optimizer::Group Optimizer::group_of(const ParameterGroup& members) {
  Group group{.role = members.role, .adamw = {}, .matrices = {}};
  for (const Parameter* p : members.members) {
    std::vector<Tensor> state = take_state(*p);
    if (state.empty()) continue;
    if (members.role == Role::matrix) {
      state.resize(2);  // Aurora has no second moment
      group.matrices.push_back({.name = p->spec.name, .parameter = p->master, .momentum = state[0], .second_moment = state[1]});
    } else {
      group.adamw.push_back({.name = p->spec.name,
                             .parameter = p->master,
                             .first_moment = state[0],
                             .second_moment = state[1],
                             .updates = state[2]});
    }
  }
  return group;
}

void Optimizer::step(const StepSettings& step) {
  const StepRates rates = rates_at(settings_, step);
  for (const Group& group : groups_) {
    if (group.role == Role::kappa && !step.update_kappa) continue;
    if ((group.role == Role::resid_lambdas || group.role == Role::x0_lambdas) && !step.update_lambdas) continue;
    const bool x0 = group.role == Role::x0_lambdas;
    const AdamWRates adamw_rates{.lr = rates.lr.of(group.role),
                                 .beta1 = x0 ? x0_lambdas_beta1 : settings_.adam_beta1,
                                 .beta2 = x0 ? x0_lambdas_beta2 : settings_.adam_beta2,
                                 .eps = adamw_eps};
    for (const AdamWTensors& tensors : group.adamw) adamw_step(tensors, adamw_rates, settings_.rounding);
    if (group.matrices.empty()) continue;
    const Shape& shape = group.matrices.front().parameter.shape();
    matrix_step({settings_.matrix_optimizer, settings_.iterate_in_bfloat16, settings_.rounding}, group.matrices,
                {.lr = rates.lr.matrix,
                 .weight_decay = rates.weight_decay,
                 .momentum = rates.matrix_momentum,
                 .scale = aspect_scale(shape[-2], shape[-1], settings_.match_rms_adamw)});
  }
  parameters_.refresh_values();
  parameters_.zero_gradients();
}

}  // namespace kappa
