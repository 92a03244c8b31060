#pragma once
// The configuration of a run: the network, how it is trained, on what, where. Each key is explained where it is described
// (config_keys.cpp) and in configs/reference.yaml; the defaults are those of the paper's code.

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/segment_stream.h"
#include "engine/config/schema.h"
#include "engine/core/queue.h"
#include "engine/nn/parameter.h"
#include "model/config.h"
#include "train/optimizers/matrix_optimizer.h"

namespace kappa {

/// What is stored and computed in which type: all float32 | bfloat16 with float32 masters | all bfloat16, no masters |
/// bfloat16 embeddings, float32 otherwise, bfloat16 compute (the paper's code of June 2026).
enum class Precision : uint8_t { float32, mixed, bfloat16, june };
/// Compute type and narrow parameters of a precision.
struct Storage {
  DType compute;
  Narrow narrow;
};
Storage storage_of(Precision precision);

enum class RouterInit : uint8_t { uniform, zeros };
enum class AuditMode : uint8_t { train, eval };

constexpr auto names_of(Device) { return std::array{"cpu", "cuda", "emulated"}; }
constexpr auto names_of(Precision) { return std::array{"float32", "mixed", "bfloat16", "june"}; }
constexpr auto names_of(RouterInit) { return std::array{"uniform", "zeros"}; }
constexpr auto names_of(OptimizerRounding) { return std::array{"once", "each_op"}; }
constexpr auto names_of(MatrixOptimizer) { return std::array{"aurora", "muon"}; }
constexpr auto names_of(LongDocuments) { return std::array{"crop", "split"}; }
constexpr auto names_of(AuditMode) { return std::array{"train", "eval"}; }

struct TrainConfig {
  int64_t seed = 26;
  Precision precision = Precision::float32;
  RouterInit router_init = RouterInit::uniform;

  // How long, in what pieces.
  int64_t num_iterations = -1;
  double target_flops = -1, target_param_data_ratio = 5;
  bool use_moe_adjusted_scaling_params = true;
  int64_t device_batch_size = 32, total_batch_size = -1, max_auto_grad_accum_steps = 64;

  // Optimizers.
  double embedding_lr = 0.3, unembedding_lr = 0.004, matrix_lr = 0.01, scalar_lr = 0.5;
  double weight_decay = 0.05;
  MatrixOptimizer matrix_optimizer = MatrixOptimizer::aurora;
  bool muon_match_rms_adamw = true;
  double adam_beta1 = 0.8, adam_beta2 = 0.95;
  OptimizerRounding optimizer_rounding = OptimizerRounding::once;
  int64_t lambda_start_step = 0;

  // Schedules.
  double warmup_ratio = 0, warmdown_ratio = 0.5, final_lr_frac = 0;
  int64_t lr_schedule_restart_at_step = 0;
  double lr_base_scale = 1;
  int64_t resume_from_step = -1, resume_lr_warmup_steps = 0;
  double kappa_lr_max_scale = 1, kappa_lr_final_scale = 0.5;
  int64_t kappa_delay_start_min_iterations = 200;
  double kappa_delay_start_iteration_frac = 0.05;
  int64_t kappa_lr_warmup_iterations = 1000;
  double kappa_slope_max_scale_warmup_iteration_frac = 0.15;

  // Weights of the losses beside the next token's.
  double router_z_loss_weight = 1e-5;
  double aux_loss_weight = 1e-3, aux_loss_weight_init_scale = 2;
  int64_t aux_loss_weight_init_anneal_iterations = 500;
  double kappa_l2_loss_weight = 1e-2, kappa_scale_l2_loss_weight_scale = 1;
  int64_t kappa_l2_loss_anneal_iterations = -1;
  double kappa_l2_loss_stage1_frac = 1, kappa_l2_loss_final_frac = 1;

  // What is looked at on the way.
  int64_t eval_every = 250, eval_tokens = 5242880;
  int64_t core_metric_every = 1000, core_metric_max_per_task = 500;
  std::string core_metric_bundle;
  int64_t sample_every = -1, sample_tokens = 16;
  std::string sample_prompt = "The capital of France is";
  int64_t log_interval = 20;
  bool log_grad_stats = true;
};

struct DataConfig {
  std::string path, tokenizer, validation;
  LongDocuments long_documents = LongDocuments::crop;
  int64_t workers = 2;
  bool skip_damaged = false;
};

struct TokenizerConfig {
  std::string train_from;
  Auto<int64_t> vocab_size;  // otherwise model.vocab_size
};

struct CheckpointConfig {
  int64_t every = 2000, keep_last = 2;
  bool keep_best = false;
  std::vector<int64_t> milestones;
};

struct RunFolderConfig {
  std::string dir;  // otherwise runs/ and the name of the configuration file
};

struct AuditConfig {
  AuditMode mode = AuditMode::train;
  int64_t step = 0, num_iterations = 1;  // where in the run the keepers of the κ floors stand
};

struct RunConfig {
  Device device = Device::cpu;
  int64_t threads = 0;
  RunFolderConfig run;
  ModelConfig model;
  TrainConfig train;
  DataConfig data;
  TokenizerConfig tokenizer;
  CheckpointConfig checkpoint;
  AuditConfig audit;
};

void describe(Schema& schema, RunConfig& config);

/// Throws InputError unless config.device has kernels for all of the model's ops.
void check_device(const RunConfig& config);

/// Reads a configuration file, applies overrides as for --set, fills in what was left to the program and checks all of it. Throws
/// InputError naming the place, the key, what was expected and what was found.
RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

/// The same for text that stands in `file`.
RunConfig parse_run_config(std::string_view yaml, const std::string& file, const std::vector<std::string>& overrides = {});

/// Every key with its value; parse_run_config() reads it back as it was.
std::string to_yaml(const RunConfig& config);

/// Every key with its default and its line of help: configs/reference.yaml.
std::string reference_yaml();

/// The names of all keys: "device", "model.n_layer", …
std::vector<std::string> config_keys();

std::vector<Difference> differences(const RunConfig& left, const RunConfig& right);

}  // namespace kappa
