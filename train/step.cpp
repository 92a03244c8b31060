#include "train/step.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/text.h"
#include "engine/tensor/dispatch.h"
#include "train/aux_free.h"

namespace kappa {

TrainingStep::TrainingStep(const RunConfig& config, const BatchPlan& batches, Gpt& model, Optimizer& optimizer)
    : config_(config), batches_(batches), model_(model), optimizer_(optimizer) {
  if (config.model.load_balancing == LoadBalancing::aux_free)
    choices_.assign(size_t(config.model.n_layer), std::vector<int32_t>(size_t(config.model.n_exp)));
}

static double number(const Tensor& scalar) {
  double value = 0;
  dispatch_wide("number", scalar, [&]<class W>(W, CpuQueue) { value = double(*scalar.data<W>()); });
  return value;
}

StepLosses TrainingStep::accumulate(int64_t t, const std::function<Batch()>& next, const Trace& trace) {
  const StepPlan plan = plan_step(config_, batches_, t);
  model_.set_slope_max(plan.moe_slope_max, plan.dense_slope_max);
  Pass pass{.training = true, .step = t, .total_steps = batches_.steps, .seed = uint64_t(config_.train.seed)};
  if (!choices_.empty() || trace)
    pass.trace = [&](Place place, const char* what, const Tensor& value) {
      if (std::string_view(what) == "expert_counts") count_choices(place, value);
      if (trace) trace(place, what, value);
    };

  StepLosses losses;
  for (pass.micro_step = 0; pass.micro_step < batches_.micro_batches; ++pass.micro_step) {
    const Batch batch = next();
    const int64_t rows = pass.micro_step + 1 == batches_.micro_batches ? batches_.last_rows : batch.rows;
    const size_t tokens = size_t(rows * batch.length);
    const double share = batches_.share(pass.micro_step, batch.rows);
    Tape tape;
    const LossTerms terms = model_.losses(Tensor::integers(std::span(batch.inputs).first(tokens), {rows, batch.length}),
                                          Tensor::integers(std::span(batch.targets).first(tokens), {rows, batch.length}), pass);
    const Tensor loss = objective(terms, plan.weights, share);
    losses["loss"] += number(loss);
    for (const NamedTerm& term : named_terms(terms, plan.weights))
      losses[term.name] += term.value ? share * number(term.value) : 0;
    for (const auto& [name, value] : losses)
      if (!std::isfinite(value)) throw RunError(fmt::format("step {}: {} is {}", t, name, printable(value)));
    tape.backward(loss);
    model_.store().settle_gradients();
  }
  return losses;
}

void TrainingStep::update(int64_t t) {
  const PhaseScope phase(Phase::update);
  balance_experts();
  optimizer_.step(plan_step(config_, batches_, t).optimizer);
}

void TrainingStep::count_choices(Place place, const Tensor& counts) {
  std::vector<int32_t>& sum = choices_[size_t(place.layer)];
  for (size_t e = 0; e < sum.size(); ++e) sum[e] += counts.data<int32_t>()[e];
}

void TrainingStep::balance_experts() {
  for (size_t layer = 0; layer < choices_.size(); ++layer) {
    const Moe* moe = model_.blocks()[layer].moe();
    if (!moe) continue;
    const Tensor& bias = moe->expert_bias().value;
    dispatch_wide("balance_experts", bias, [&]<class W>(W, CpuQueue) {
      update_expert_bias(std::span<W>(bias.data<W>(), size_t(bias.size())), choices_[layer],
                         config_.model.aux_free_bias_update_speed);
    });
    std::ranges::fill(choices_[layer], 0);
  }
}

}  // namespace kappa
