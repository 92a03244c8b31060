#include "train/config.h"

#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using kappa::test::TempFolder;

namespace {

std::string refusal(const std::string& yaml) {
  try {
    parse_run_config(yaml, "x.yaml");
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("run config: the reference page is what the schema renders") {
  // To renew it: kappa_tests prints what it should be.
  REQUIRE(read_file(source_dir() / "configs/reference.yaml") == reference_yaml());
}

TEST_CASE("run config: the reference page is the defaults") {
  REQUIRE(differences(parse_run_config(reference_yaml(), "x.yaml"), parse_run_config("", "x.yaml")).empty());
}

TEST_CASE("run config: the paper's defaults") {
  const RunConfig c = parse_run_config("", "x.yaml");
  REQUIRE(c.train.seed == 26);
  REQUIRE(c.train.matrix_optimizer == MatrixOptimizer::aurora);
  REQUIRE(c.train.embedding_lr == 0.3);
  REQUIRE(c.train.kappa_slope_max_scale_warmup_iteration_frac == 0.15);
  REQUIRE(c.train.eval_tokens == 10 * 524288);
  REQUIRE(c.model.kappa_input == KappaInput::top_logits);
  REQUIRE(c.model.moe_kappa_slope_max_scale == 4.0);
  REQUIRE(c.model.kappa_l2_ema_floor_frac == 0.9);
}

TEST_CASE("run config: what is left to the program is filled in") {
  const RunConfig c =
      parse_run_config("model: {vocab_size: 512, activation_checkpointing: true}", "some/laptop.yaml", {"train.seed=28"});
  REQUIRE(c.run.dir == "runs/laptop");
  REQUIRE(c.tokenizer.vocab_size == 512);
  REQUIRE(c.train.seed == 28);
  REQUIRE_FALSE(c.train.log_grad_stats);
  REQUIRE(parse_run_config("run: {dir: elsewhere}", "x.yaml").run.dir == "elsewhere");
}

TEST_CASE("run config: every section is read, written and compared") {
  const RunConfig c = parse_run_config(
      "device: emulated\nthreads: 3\nmodel: {depth: 4}\ntrain: {precision: june, router_init: zeros, target_flops: 1.0e+19, "
      "optimizer_rounding: each_op}\n"
      "data: {path: shards, long_documents: split}\ntokenizer: {train_from: text}\ncheckpoint: {milestones: [10, 20], keep_best: "
      "true}\n"
      "audit: {mode: eval, step: 4}\n",
      "x.yaml");
  REQUIRE(c.device == Device::emulated);
  REQUIRE(c.threads == 3);
  REQUIRE(c.train.precision == Precision::june);
  REQUIRE(c.train.target_flops == 1e19);
  REQUIRE(c.data.long_documents == LongDocuments::split);
  REQUIRE(c.checkpoint.milestones == std::vector<int64_t>{10, 20});
  REQUIRE(c.audit.mode == AuditMode::eval);
  RunConfig again = parse_run_config(to_yaml(c), "y.yaml");
  REQUIRE(differences(c, again).empty());
  again.train.matrix_lr = 0.02;
  const auto found = differences(c, again);
  REQUIRE(found.size() == 1);
  REQUIRE((found[0].key == "train.matrix_lr" && found[0].left == "0.01" && found[0].right == "0.02"));
}

TEST_CASE("run config: combinations that cannot be") {
  const std::pair<std::string, std::string> cases[] = {
      {"train: {target_param_data_ratio: -1}",
       "train.num_iterations = -1 (default), train.target_flops = -1.0 (default), train.target_param_data_ratio = -1.0: one of "
       "them must say "
       "how long the run is"},
      {"train: {warmup_ratio: 0.6}",
       "train.warmup_ratio = 0.6, train.warmdown_ratio = 0.5 (default): the learning rates cannot fall before they have risen: "
       "together at most 1"},
      {"train: {total_batch_size: 3000}",
       "train.total_batch_size = 3000, model.sequence_len = 2048 (default): a batch is counted in tokens and consists of whole "
       "rows"},
      {"train: {device_batch_size: 1000000}",
       "train.device_batch_size = 1000000, model.sequence_len = 2048 (default), model.n_embd = 768 (default), "
       "model.train_capacity = 1.0 (default), model.eval_capacity = 3.0 (default): "
       "an activation would have 3.77e+13 elements, at most 2^40 are possible"},
      {"train: {optimizer_rounding: each_op}",
       "train.optimizer_rounding = each_op, train.precision = float32 (default): rounding each operation means something for "
       "parameters in "
       "bfloat16 only"},
      {"data: {tokenizer: a}\ntokenizer: {train_from: b}",
       "data.tokenizer = a, tokenizer.train_from = b (x.yaml:2): a tokenizer is either given or trained"},
      {"tokenizer: {vocab_size: 40000}",
       "tokenizer.vocab_size = 40000, model.vocab_size = 32768 (default): the model must know all tokens of the tokenizer"},
      {"train: {max_auto_grad_accum_steps: 0}",
       "train.max_auto_grad_accum_steps: expected an integer of at least 1 or -1, found \"0\""},
      {"train: {adam_beta2: 1.0}", "train.adam_beta2: expected a number in [0, 1), found \"1.0\""},
      {"train: {warmup_ratio: 1.5}", "train.warmup_ratio: expected a number in [0, 1], found \"1.5\""},
      {"train: {compile: true}", "train.compile: unknown key"},
      {"device: gpu", "device: expected cpu | cuda | emulated, found \"gpu\""},
  };
  for (const auto& [yaml, message] : cases) {
    INFO(yaml);
    REQUIRE(refusal(yaml) == "x.yaml:1: " + message);
  }
}

TEST_CASE("run config: a file that is missing or too large") {
  const TempFolder folder;
  const std::string path = (folder / "a.yaml").string();
  REQUIRE_THROWS_WITH(load_run_config(path), path + ": cannot open: No such file or directory");
  write_file(path, std::string(size_t(config_size_limit) + 1, ' '));
  REQUIRE_THROWS_WITH(load_run_config(path), path + ": expected at most 262144 bytes, found more");
  write_file(path, "train: {seed: 3}");
  REQUIRE(load_run_config(path).train.seed == 3);
  REQUIRE(load_run_config(path).run.dir == "runs/a");
}
