#include "train/memory_plan.h"

#include <fmt/format.h>

#include "model/gpt.h"
#include "train/optimizers/optimizer.h"
#include "train/recipe.h"
#include "train/sizes.h"

namespace kappa {
namespace {

/// Bytes that the ops of one layer keep for the way back, of N tokens with C channels each (s bytes a number; w in the residual
/// stream and the router).
struct LayerBytes {
  double kept, gradients;  // gradients: of its feed-forward part, the largest that live at one time
};
LayerBytes layer_bytes(const ModelConfig& c, int64_t layer, double tokens, double s, double w) {
  const double channels = double(c.n_embd), hidden = double(c.hidden_size()), kv = double(c.n_kv() * c.head_size());
  const double stream = (s == w ? 1 : 3) * w * channels;  // the input; where it is wider than what is computed, the norms' too
  const double attention = s * (3 * channels + 2 * kv + (c.has_value_embedding(layer) ? 2 * kv : 0)) + w * double(c.n_head);
  LayerBytes bytes{.kept = tokens * (stream + attention + s * channels), .gradients = 0};
  double rows = tokens;
  if (c.is_moe(layer)) {
    rows = double(c.n_exp) * double(c.slots(int64_t(tokens), true));
    bytes.kept += s * rows * 2 * channels + 2 * w * tokens * double(c.n_exp);
  }
  bytes.kept += 3 * s * rows * hidden;
  bytes.gradients = s * rows * 2 * hidden;  // of gate and up; those of h and of the output take the places of these themselves
  return bytes;
}

double bytes_of(DType type) { return double(size_of(type)); }

/// Of a training step's micro-batch of so many tokens.
double training_bytes(const ModelConfig& c, DType compute, double tokens) {
  const double s = bytes_of(compute), w = bytes_of(wide(compute));
  double kept = 0, largest = 0;
  for (int64_t layer = 0; layer < c.n_layer; ++layer) {
    const LayerBytes bytes = layer_bytes(c, layer, tokens, s, w);
    kept += c.activation_checkpointing ? 2 * w * tokens * double(c.n_embd) : bytes.kept;
    largest = std::max(largest, bytes.gradients + (c.activation_checkpointing ? bytes.kept : 0));
  }
  const double chunk = c.loss_recompute_backward ? std::min(tokens, double(c.loss_chunk())) : tokens;
  const double logits = chunk * double(c.vocab_size) * (w + (s == w ? 0 : s));
  return double(c.total_ut_steps) * kept + std::max(largest, logits) + 3 * w * tokens * double(c.n_embd);
}

/// Of a validation, at least: the residual stream, and gate and up of a layer.
double validation_bytes(const ModelConfig& c, DType compute, double tokens) {
  const double s = bytes_of(compute), w = bytes_of(wide(compute));
  const double choices = c.moe_layers() > 0 ? double(c.moe_top_k) : 1;
  return tokens * (3 * w * double(c.n_embd) + 2 * s * choices * double(c.hidden_size()));
}

/// A step may have fewer rows than fit into a micro-batch; a validation does not.
double activation_bytes(const RunConfig& config, DType compute) {
  const BatchPlan batches = plan_batches(config);
  const int64_t rows = batches.micro_batches > 1 ? config.train.device_batch_size : batches.last_rows;
  const auto tokens = [&](int64_t r) { return double(r) * double(config.model.sequence_len); };
  return std::max(training_bytes(config.model, compute, tokens(rows)),
                  validation_bytes(config.model, compute, tokens(config.train.device_batch_size)));
}

/// Of everything but activations and the optimizer.
MemoryPlan plan_parameters(const ParameterStore& store, const Storage& storage) {
  const auto [compute, narrow] = storage;
  MemoryPlan plan;
  for (const Parameter& p : store.parameters()) {
    const double n = double(p.spec.shape.size());
    const DType master = ParameterStore::master_dtype(p.spec, compute, narrow), value = p.always_wide() ? wide(compute) : compute;
    plan.parameters += n * (bytes_of(master) + (value == master ? 0 : bytes_of(value)));
    plan.gradients += n * (bytes_of(wide(compute)) + (master == wide(compute) ? 0 : bytes_of(master)));
  }
  return plan;
}

}  // namespace

MemoryPlan plan_memory(const RunConfig& config, const Storage& storage) {
  const Gpt model(config.model);
  MemoryPlan plan = plan_parameters(model.store(), storage);
  plan.optimizer = double(
      Optimizer::state_bytes(model.store(), optimizer_settings(config, plan_batches(config)), storage.compute, storage.narrow));
  plan.activations = activation_bytes(config, storage.compute);
  return plan;
}

MemoryPlan plan_audit_memory(const RunConfig& config, DType compute, int64_t tokens) {
  const ModelConfig& c = config.model;
  const double w = bytes_of(wide(compute)), n = double(tokens), passes = double(c.total_ut_steps);
  MemoryPlan plan = plan_parameters(Gpt(c).store(), {.compute = compute, .narrow = Narrow::none});
  const bool training = config.audit.mode == AuditMode::train;
  const double ops = training ? training_bytes(c, compute, n) : validation_bytes(c, compute, n);
  const double logits = n * double(c.vocab_size) * w, written = passes * double(c.n_layer) * 3 * double(c.n_embd) * n * w;
  plan.activations = std::max(2 * logits, logits + ops + written);
  if (training) plan.gradients *= 2;  // a copy is kept for the file
  return plan;
}

void check_memory(const MemoryPlan& plan, int64_t available, std::string_view smaller) {
  require(available <= 0 || plan.total() <= 1.25 * double(available),
          "out of memory: about {} wanted ({} of it for activations), {} available; {} make it smaller", bytes_text(plan.total()),
          bytes_text(plan.activations), bytes_text(double(available)), smaller);
}

std::string bytes_text(double bytes) {
  constexpr double gib = 1 << 30, mib = 1 << 20;
  return bytes >= gib ? fmt::format("{:.2f} GiB", bytes / gib) : fmt::format("{:.0f} MiB", bytes / mib);
}

}  // namespace kappa
