#include "train/audit.h"

#include <deque>

#include "engine/autograd/tape.h"
#include "engine/tensor/dispatch.h"
#include "model/gpt.h"
#include "model/weights.h"
#include "train/objective.h"

namespace kappa {
namespace {

/// Named values on their way into a file.
class Output {
 public:
  /// Copies `value`; bfloat16 becomes float32.
  void add(const std::string& name, const Tensor& value) {
    Tensor copy = Tensor::empty(value.shape(), value.dtype() == DType::bf16 ? DType::f32 : value.dtype());
    if (value.dtype() == DType::bf16)
      std::copy_n(value.data<bfloat16>(), value.size(), copy.data<float>());
    else
      std::memcpy(copy.raw(), value.raw(), size_t(value.bytes()));
    entries_[name] = {copy, false};
  }
  void add_scalar(const std::string& name, const Tensor& value) { add(name, value), entries_[name].scalar = true; }
  void add_boolean(const std::string& name, bool value) { booleans_[name] = uint8_t(value); }
  bool has(const std::string& name) const { return entries_.contains(name); }

  void write(const std::filesystem::path& path) const {
    std::vector<StoredTensor> tensors;
    for (const auto& [name, entry] : entries_) {
      tensors.push_back(stored(name, entry.value));
      if (entry.scalar) tensors.back().shape.clear();
    }
    for (const auto& [name, value] : booleans_)
      tensors.push_back({name, StoredType::boolean, {}, std::as_bytes(std::span(&value, 1))});
    write_safetensors(path, tensors);
  }

 private:
  struct Entry {
    Tensor value;
    bool scalar = false;
  };
  std::map<std::string, Entry> entries_;
  std::map<std::string, uint8_t> booleans_;
};

struct GivenBatch {
  Tensor inputs, targets;  // [B, T] int32
};

Tensor read_ids(const SafetensorsFile& file, const StoredTensor& entry) {
  require(entry.type == StoredType::i32 || entry.type == StoredType::i64, "{}: {}: expected integers, found {}", file.path(),
          entry.name, name_of(entry.type));
  const Tensor ids = Tensor::empty(Shape(entry.shape), DType::i32);
  file.read(entry, std::span<int32_t>(ids.data<int32_t>(), size_t(ids.size())));
  return ids;
}

/// A target may be −1.
void check_ids(const SafetensorsFile& file, const char* name, const Tensor& ids, int64_t lowest, int64_t vocabulary) {
  const int32_t* const id = ids.data<int32_t>();
  for (int64_t i = 0; i < ids.size(); ++i)
    require(id[i] >= lowest && id[i] < vocabulary, "{}: {}: expected ids from {} to {}, found {} at row {}, position {}",
            file.path(), name, lowest, vocabulary - 1, id[i], i / ids.dim(1), i % ids.dim(1));
}

GivenBatch read_batch(const std::filesystem::path& path, int64_t vocabulary) {
  const SafetensorsFile file(path);
  const StoredTensor& inputs = file.at("inputs");
  require(inputs.shape.size() == 2 && inputs.size() > 0, "{}: inputs: expected [rows, tokens], found {}", file.path(),
          Shape(inputs.shape));
  const GivenBatch batch{read_ids(file, inputs), read_ids(file, file.at("targets", inputs.shape))};
  check_ids(file, "inputs", batch.inputs, 0, vocabulary);
  check_ids(file, "targets", batch.targets, -1, vocabulary);
  return batch;
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
      choices.back() = read_ids(file, file.at(Place{loop, layer, config.total_ut_steps > 1}.name("top_k_indices"), shape));
    }
  return choices;
}

void add_parameters(Output& out, const ParameterStore& store) {
  for (const Parameter& p : store.parameters()) {
    const Gradient& g = *p.master.gradient();
    out.add("grad." + p.spec.name, Tensor::over(g.memory, g.shape, g.dtype, g.device));
  }
}

void add_buffers(Output& out, const ParameterStore& store) {
  for (const Buffer& b : store.buffers()) {
    if (b.spec.name.find("_ema_rms_reg_keeper.") == std::string::npos) continue;
    if (b.spec.boolean)
      out.add_boolean("buffer." + b.spec.name, *b.value.data<int32_t>() != 0);
    else
      out.add_scalar("buffer." + b.spec.name, b.value);
  }
}

/// How often each expert was chosen, summed over the loop's passes; zeros where nothing was counted.
void add_counts(Output& out, const Gpt& model, const std::vector<Tensor>& counts_by_layer) {
  if (model.config().load_balancing != LoadBalancing::aux_free) return;
  for (int64_t layer = 0; layer < model.config().n_layer; ++layer) {
    if (!model.config().is_moe(layer)) continue;
    out.add(fmt::format("count.transformer.h.{}.mlp.router", layer), counts_by_layer[size_t(layer)]);
  }
}

LossWeights weights_of(const TrainConfig& train) {
  return {.router_z = train.router_z_loss_weight,
          .aux = train.aux_loss_weight,
          .kappa_bias = train.kappa_l2_loss_weight,
          .kappa_scale = train.kappa_l2_loss_weight * train.kappa_scale_l2_loss_weight_scale};
}

}  // namespace

void audit(const RunConfig& config, DType compute, const AuditFiles& files) {
  const GivenBatch batch = read_batch(files.batch, config.model.vocab_size);
  Gpt model(config.model, compute);
  load_weights(model.store(), files.weights);

  Output out;
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
