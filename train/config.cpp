#include "train/config.h"

#include "engine/config/yaml.h"
#include "engine/core/file.h"

namespace kappa {
namespace {

/// Throws InputError for values that cannot go together.
void check(const RunConfig& c, const Schema& schema) {
  const TrainConfig& t = c.train;
  schema.require(t.num_iterations > 0 || t.target_flops > 0 || t.target_param_data_ratio > 0,
                 {"train.num_iterations", "train.target_flops", "train.target_param_data_ratio"},
                 "one of them must say how long the run is");
  schema.require(t.warmup_ratio + t.warmdown_ratio <= 1, {"train.warmup_ratio", "train.warmdown_ratio"},
                 "the learning rates cannot fall before they have risen: together at most 1");
  schema.require(t.total_batch_size < 0 || t.total_batch_size % c.model.sequence_len == 0,
                 {"train.total_batch_size", "model.sequence_len"}, "a batch is counted in tokens and consists of whole rows");

  // The widest activation: the hidden units of all tokens, or of all slots of all experts.
  const double copies = std::max(1.0, double(c.model.moe_top_k) * std::max(c.model.train_capacity, c.model.eval_capacity));
  const double widest = double(t.device_batch_size) * double(c.model.sequence_len) * double(c.model.hidden_size()) * copies;
  schema.require(widest <= 0x1p40,
                 {"train.device_batch_size", "model.sequence_len", "model.n_embd", "model.train_capacity", "model.eval_capacity"},
                 "an activation would have {:.3g} elements, at most 2^40 are possible", widest);

  const bool stores_bfloat16 = t.precision == Precision::bfloat16 || t.precision == Precision::june;
  schema.require(t.optimizer_rounding == OptimizerRounding::once || stores_bfloat16,
                 {"train.optimizer_rounding", "train.precision"},
                 "rounding each operation means something for parameters in bfloat16 only");

  schema.require(c.data.tokenizer.empty() || c.tokenizer.train_from.empty(), {"data.tokenizer", "tokenizer.train_from"},
                 "a tokenizer is either given or trained");
  schema.require(c.tokenizer.vocab_size <= c.model.vocab_size, {"tokenizer.vocab_size", "model.vocab_size"},
                 "the model must know all tokens of the tokenizer");
}

}  // namespace

void check_device(const RunConfig& config) {
  require(config.device == Device::cpu, "device: {} has no kernels for the model's ops yet; cpu has them all",
          name_of(config.device));
}

Storage storage_of(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return {DType::f32, Narrow::none};
    case Precision::mixed:
      return {DType::bf16, Narrow::none};
    case Precision::bfloat16:
      return {DType::bf16, Narrow::all};
    case Precision::june:
      return {DType::bf16, Narrow::embeddings};
  }
  return {DType::f32, Narrow::none};
}

RunConfig parse_run_config(std::string_view yaml, const std::string& file, const std::vector<std::string>& overrides) {
  RunConfig config;
  Schema schema;
  describe(schema, config);
  schema.read(yaml, file);
  for (const std::string& assignment : overrides) schema.set(assignment);

  resolve(config.model, schema);
  config.tokenizer.vocab_size = config.tokenizer.vocab_size.value_or(config.model.vocab_size);
  if (config.run.dir.empty()) config.run.dir = (std::filesystem::path("runs") / std::filesystem::path(file).stem()).string();
  // As in the paper's code.
  config.train.log_grad_stats &= !config.model.activation_checkpointing;
  check(config, schema);
  return config;
}

RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  const std::string yaml = read_file(path, config_size_limit);
  require(!parse_yaml(yaml, path.string()).empty(), "{}: expected sections of keys, found none", path.string());
  return parse_run_config(yaml, path.string(), overrides);
}

std::string to_yaml(const RunConfig& config) {
  RunConfig copy = config;
  Schema schema;
  describe(schema, copy);
  return schema.yaml();
}

std::string reference_yaml() {
  RunConfig defaults;
  Schema schema;
  describe(schema, defaults);
  return "# Every key of a configuration, its default and its meaning. A file gives only what differs.\n"
         "# Unknown keys, wrong types and combinations that cannot be are errors that name the line.\n\n" +
         schema.reference();
}

std::vector<std::string> config_keys() {
  RunConfig defaults;
  Schema schema;
  describe(schema, defaults);
  return schema.names();
}

std::vector<Difference> differences(const RunConfig& left, const RunConfig& right) {
  RunConfig a = left, b = right;
  Schema schema_a, schema_b;
  describe(schema_a, a);
  describe(schema_b, b);
  return differences(schema_a, schema_b);
}

}  // namespace kappa
