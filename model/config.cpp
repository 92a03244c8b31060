#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "engine/core/file.h"

namespace kappa {

void ModelConfig::set_depth(int64_t layers) {
  n_layer = layers;
  n_head = (layers * aspect_ratio + head_dim - 1) / head_dim;
  n_kv_head = n_head;
  n_embd = n_head * head_dim;
}

bool ModelConfig::is_moe(int64_t layer) const {
  if (n_exp <= 1 || layer < moe_start_layer || (layer + 1) % moe_layer_stride != 0) return false;
  // Layers below this one that qualify: the multiples of the stride in (moe_start_layer, layer].
  const int64_t earlier = layer / moe_layer_stride - moe_start_layer / moe_layer_stride;
  return num_moe_layers < 0 || earlier < num_moe_layers;
}

int64_t ModelConfig::moe_layers() const {
  int64_t count = 0;
  for (int64_t layer = 0; layer < n_layer; ++layer) count += is_moe(layer);
  return count;
}

int64_t ModelConfig::window(int64_t layer) const {
  const bool full = layer == n_layer - 1 || window_pattern[size_t(layer) % window_pattern.size()] == 'L';
  return full ? sequence_len : sequence_len / 2;
}

bool ModelConfig::kappa_active(int64_t layer) const {
  const int64_t start = kappa_start_layer.value_or(constant_kappa_dense_layers ? 0 : 2);
  const bool dense_gate = constant_kappa_dense_layers && dense_mlp == DenseMlp::swiglu;
  return use_kappa_swiglu && layer >= start && (is_moe(layer) || dense_gate);
}

int64_t ModelConfig::capacity(int64_t tokens, bool training) const {
  const double factor = training ? train_capacity : eval_capacity;
  const auto slots = int64_t(std::floor(double(moe_top_k) * factor * double(tokens) / double(n_exp)));
  return std::max(slots + slots % 2, min_capacity);
}

ModelConfig resolved(ModelConfig config) {
  Schema schema;
  describe(schema.section("model", ""), config);
  resolve(config, schema);
  return config;
}

ModelConfig load_model_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  ModelConfig config;
  Schema schema;
  describe(schema.section("model", ""), config);
  schema.read_own_sections(read_file(path, config_size_limit), path.string());
  for (const std::string& assignment : overrides) schema.set(assignment);
  resolve(config, schema);
  return config;
}

}  // namespace kappa
