#include "train/audit.h"

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/memory/host_memory.h"
#include "model/gpt.h"
#include "model/weights.h"
#include "train/audit_files.h"
#include "train/memory_plan.h"
#include "train/objective.h"

namespace kappa {
namespace {

/// Every token has chosen different experts that there are.
void check_choices(const SafetensorsFile& file, const std::string& name, const Tensor& choices, int64_t experts) {
  const int64_t top_k = choices.dim(1);
  for (int64_t i = 0; i < choices.size(); ++i) {
    const int32_t* const choice = choices.data<int32_t>() + i;
    require(*choice >= 0 && *choice < experts, "{}: {}: token {}: expected experts from 0 to {}, found {}", file.path(), name,
            i / top_k, experts - 1, *choice);
    require(std::find(choice - i % top_k, choice, *choice) == choice,
            "{}: {}: token {}: expected different experts, found {} twice", file.path(), name, i / top_k, *choice);
  }
}

/// The top-k choices of an earlier audit, by loop pass and layer.
std::vector<Tensor> read_choices(const std::filesystem::path& path, const ModelConfig& config, int64_t tokens) {
  const SafetensorsFile file(path);
  std::vector<Tensor> choices;
  for (int64_t loop = 0; loop < config.total_ut_steps; ++loop)
    for (int64_t layer = 0; layer < config.n_layer; ++layer) {
      choices.emplace_back();
      if (!config.is_moe(layer)) continue;
      const std::array<int64_t, 2> shape{tokens, config.moe_top_k};
      const std::string name = Place{loop, layer, config.total_ut_steps > 1}.name("top_k_indices");
      choices.back() = read_ids(file, file.at(name, shape));
      check_choices(file, name, choices.back(), config.n_exp);
    }
  return choices;
}

void add_parameters(AuditOutput& out, const ParameterStore& store) {
  for (const Parameter& p : store.parameters()) {
    const Gradient& g = *p.master.gradient();
    out.add("grad." + p.spec.name, Tensor::over(g.memory, g.shape, g.dtype, g.device));
  }
}

void add_buffers(AuditOutput& out, const ParameterStore& store) {
  for (const Buffer& b : store.buffers()) {
    if (b.spec.name.find("_ema_rms_reg_keeper.") != std::string::npos) out.add(b, "buffer.");
  }
}

/// How often each expert was chosen, summed over the loop's passes; zeros where nothing was counted.
void add_counts(AuditOutput& out, const Gpt& model, const std::vector<Tensor>& counts_by_layer) {
  if (model.config().load_balancing != LoadBalancing::aux_free) return;
  for (int64_t layer = 0; layer < model.config().n_layer; ++layer) {
    if (!model.config().is_moe(layer)) continue;
    out.add(fmt::format("count.transformer.h.{}.mlp.router", layer), counts_by_layer[size_t(layer)]);
  }
}

/// What the model would say itself, but of a file.
void check_length(const GivenTokens& batch, const RunConfig& config, const std::filesystem::path& path) {
  const bool training = config.audit.mode == AuditMode::train;
  const int64_t longest = training ? config.model.sequence_len : config.model.longest_row(), found = batch.inputs.dim(1);
  require(found <= longest, "{}: inputs: expected rows of at most {} tokens ({}model.sequence_len), found {}", path.string(),
          longest, training ? "" : "10 times ", found);
}

LossWeights weights_of(const TrainConfig& train) {
  return {.router_z = train.router_z_loss_weight,
          .aux = train.aux_loss_weight,
          .kappa_bias = train.kappa_l2_loss_weight,
          .kappa_scale = train.kappa_l2_loss_weight * train.kappa_scale_l2_loss_weight_scale};
}

}  // namespace

void audit(const RunConfig& config, DType compute, const AuditFiles& files) {
  const GivenTokens batch = read_tokens(files.batch, 2, config.model.vocab_size);
  check_length(batch, config, files.batch);
  const SafetensorsFile weight_file(files.weights);
  check_weights(Gpt(config.model).store(), weight_file);
  check_memory(plan_audit_memory(config, compute, batch.inputs.size()), host_memory().available, smaller_audit);
  Gpt model(config.model, compute);
  load_weights(model.store(), weight_file);

  AuditOutput out;
  std::vector<Tensor> counts;
  for (int64_t layer = 0; layer < config.model.n_layer; ++layer)
    counts.push_back(Tensor::zeros({config.model.n_exp}, DType::i32));
  Pass pass{.training = config.audit.mode == AuditMode::train,
            .step = config.audit.step,
            .total_steps = config.audit.num_iterations,
            .seed = uint64_t(config.train.seed)};
  if (files.routing) pass.imposed_choices = read_choices(*files.routing, config.model, batch.inputs.size());
  out.add("logits", model.logits(batch.inputs, pass));
  pass.trace = [&](Place place, const char* what, const Tensor& value) {
    if (std::string_view(what) == "expert_counts") {
      for (int64_t e = 0; e < value.size(); ++e) counts[size_t(place.layer)].data<int32_t>()[e] += value.data<int32_t>()[e];
    } else {
      out.add(place.name(what), value);
    }
  };

  const LossWeights weights = weights_of(config.train);
  Tape tape;
  const LossTerms terms = model.losses(batch.inputs, batch.targets, pass);
  const Tensor loss = objective(terms, weights);
  for (const NamedTerm& term : named_terms(terms, weights))
    out.add_scalar(term.name, term.value ? term.value : Tensor::zeros({1}, loss.dtype()));
  out.add_scalar("loss", loss);
  if (pass.training) {
    tape.backward(loss);
    add_parameters(out, model.store());
  }
  add_buffers(out, model.store());
  add_counts(out, model, counts);
  out.write(files.out);
}

}  // namespace kappa
