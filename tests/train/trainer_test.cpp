// Whole runs on a tiny text: they learn, they go on as if they had not stopped, and they refuse what does not fit.

#include "train/trainer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/parquet_writer.h"
#include "tests/support/temp_folder.h"
#include "train/checkpoint.h"
#include "train/recipe.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

/// What a run says on standard output is not for the tests' reader.
class Quiet {
 public:
  Quiet() : kept_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  ~Quiet() {
    std::fflush(stdout);
    dup2(kept_, STDOUT_FILENO);
    close(kept_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  int kept_;
};

/// 40 short documents about the same few things, and a configuration that learns them in six steps of two micro-batches.
class Workshop {
 public:
  Workshop() {
    const char* const who[] = {"the old miller", "a young fox", "my sister", "the king", "no one"};
    const char* const does[] = {"sees", "looks for", "sings of", "forgets"};
    std::string lines;
    for (int i = 0; i < 40; ++i)
      lines += nlohmann::json{{"text", fmt::format("{} {} {} by the river, {} times a day.", who[i % 5], does[i % 4],
                                                   who[(i + 2) % 5], i / 2)}}
                   .dump() +
               '\n';
    write_file(text(), lines);
  }
  fs::path text() const { return folder_ / "text.jsonl"; }
  fs::path operator/(const std::string& name) const { return folder_ / name; }

  RunConfig config(const std::vector<std::string>& overrides = {}) const {
    const std::string yaml = R"(
model:
  vocab_size: 300
  sequence_len: 16
  n_layer: 2
  n_head: 2
  n_embd: 32
  n_exp: 4
  moe_start_layer: 1
  use_noisy_top_k: true
  use_kappa_swiglu: true
  constant_kappa_dense_layers: true
  kappa_ema_rms_reg: true
train:
  precision: float32
  num_iterations: 6
  device_batch_size: 4
  total_batch_size: 128
  embedding_lr: 3.0
  unembedding_lr: 0.4
  matrix_lr: 0.1
  kappa_delay_start_min_iterations: 1
  kappa_lr_warmup_iterations: 2
  eval_every: 3
  log_interval: 1
data:
  validation: 0.1
checkpoint:
  every: 3
  keep_last: 5
)";
    std::vector<std::string> all{"data.path=" + text().string()};
    all.insert(all.end(), overrides.begin(), overrides.end());
    return parse_run_config(yaml, "tiny.yaml", all);
  }

  void run(const std::string& name, const std::vector<std::string>& overrides = {}) const {
    const Quiet quiet;
    train(config(overrides), folder_ / name);
  }

  /// Why a run is refused; "" if it is not.
  std::string refusal(const std::string& name, const std::vector<std::string>& overrides = {}) const {
    try {
      run(name, overrides);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

 private:
  TempFolder folder_;
};

std::string checkpoint(const fs::path& run, int step, const char* file) {
  return read_file(run / "checkpoints" / fmt::format("step_{:06}", step) / file);
}

void check_same_checkpoint(const fs::path& a, const fs::path& b, int step) {
  for (const char* file : {"model.safetensors", "optimizer-0.safetensors"}) {
    INFO(file << " after step " << step);
    CHECK(checkpoint(a, step, file) == checkpoint(b, step, file));
  }
}

using Lines = std::vector<nlohmann::json>;

/// The lines of metrics.jsonl but for what the clock says.
Lines metrics(const fs::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  Lines lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    for (const char* clock : {"dt", "dt_data", "mfu", "tok_per_sec", "total_training_time"}) lines.back().erase(clock);
  }
  return lines;
}

Lines with_key(const Lines& lines, const char* key) {
  Lines found;
  for (const auto& line : lines)
    if (line.contains(key)) found.push_back(line);
  return found;
}

}  // namespace

TEST_CASE("train: the loss goes down, every step has its line, and a run that stopped goes on as if it had not") {
  const Workshop shop;
  shop.run("whole");
  const Lines lines = metrics(shop / "whole");

  const Lines steps = with_key(lines, "train/ntp_loss_step"), validations = with_key(lines, "val/bpb");
  REQUIRE(steps.size() == 6);
  for (int t = 0; t < 6; ++t) CHECK(steps[size_t(t)]["step"] == t);
  REQUIRE(validations.size() == 2);
  CHECK(validations[0]["step"] == 3);
  CHECK(validations[1]["step"] == 6);
  const double first = steps[0]["train/ntp_loss_step"], last = steps[5]["train/ntp_loss_step"];
  CHECK(first == Approx(std::log(300)).epsilon(0.05));  // the head's first values are small: all tokens are equally likely
  CHECK(last < first - 0.5);
  double mean = 0;  // of the next token's loss, without the bias of its first value 0
  for (int t = 0; t < 6; ++t) {
    mean = 0.9 * mean + 0.1 * steps[size_t(t)]["train/ntp_loss_step"].get<double>();
    CHECK(steps[size_t(t)]["train/loss_step"].get<double>() == Approx(mean / (1 - std::pow(0.9, t + 1))));
  }
  CHECK(validations[1]["val/bpb"] < validations[0]["val/bpb"]);

  // As the run was right after step 3, but for lines of metrics that a crash has left, one of them cut off.
  fs::copy(shop / "whole", shop / "stopped", fs::copy_options::recursive);
  fs::remove_all(shop / "stopped/checkpoints/step_000006");
  fs::create_directory(shop / "stopped/checkpoints/step_000005.tmp");
  std::ofstream(shop / "stopped/metrics.jsonl", std::ios::app) << R"({"step": 4, "train/nt)";
  shop.run("stopped", {"train.sample_tokens=20", "checkpoint.keep_last=6"});  // how it is watched may change
  check_same_checkpoint(shop / "stopped", shop / "whole", 6);
  CHECK(metrics(shop / "stopped") == lines);

  // Started again at its end, nothing happens to it.
  shop.run("stopped");
  check_same_checkpoint(shop / "stopped", shop / "whole", 6);
  CHECK(with_key(metrics(shop / "stopped"), "train/ntp_loss_step") == steps);
}

TEST_CASE("train: the same for any number of threads and in a second run") {
  const Workshop shop;
  const int before = threads();
  set_threads(1);
  shop.run("one");
  shop.run("again");
  set_threads(2);
  shop.run("two");
  set_threads(before);
  for (const int step : {3, 6}) {
    check_same_checkpoint(shop / "one", shop / "again", step);
    check_same_checkpoint(shop / "one", shop / "two", step);
  }
  CHECK(metrics(shop / "one") == metrics(shop / "two"));
  shop.run("other", {"train.seed=27"});
  CHECK(checkpoint(shop / "one", 6, "model.safetensors") != checkpoint(shop / "other", 6, "model.safetensors"));
}

TEST_CASE("train: nothing between the first step and the last where that is asked for") {
  const Workshop shop;
  for (const char* never : {"0", "-1"}) {
    const std::string run = fmt::format("every{}", never);
    shop.run(run, {fmt::format("train.eval_every={}", never), fmt::format("train.sample_every={}", never),
                   fmt::format("checkpoint.every={}", never), "train.num_iterations=2"});
    CHECK(with_key(metrics(shop / run), "val/bpb").size() == 1);
    CHECK_FALSE(fs::exists(shop / run / "checkpoints/step_000001"));
    CHECK(fs::exists(shop / run / "checkpoints/step_000002"));
  }
}

TEST_CASE("train: a folder with another configuration is refused, with every key that differs") {
  const Workshop shop;
  shop.run("run", {"train.num_iterations=1"});
  const std::string model = checkpoint(shop / "run", 1, "model.safetensors"), config = read_file(shop / "run/config.yaml");
  const std::string why = shop.refusal("run", {"train.num_iterations=2", "model.n_exp=8", "train.eval_every=7"});
  CHECK_THAT(why, contains((shop / "run").string()));
  CHECK_THAT(why, contains("model.n_exp: 4 → 8"));
  CHECK_THAT(why, contains("train.num_iterations: 1 → 2"));
  CHECK_THAT(why, !contains("eval_every"));
  CHECK(why.find('\n') == std::string::npos);
  CHECK(checkpoint(shop / "run", 1, "model.safetensors") == model);
  CHECK(read_file(shop / "run/config.yaml") == config);
}

TEST_CASE("train: a new course from the newest checkpoint, where that is asked for by its step") {
  const Workshop shop;
  shop.run("run", {"checkpoint.every=2", "train.num_iterations=4"});
  const std::string before = read_file(shop / "run/config.yaml"), model = checkpoint(shop / "run", 4, "model.safetensors");
  const std::vector<std::string> longer{"train.num_iterations=6", "train.resume_from_step=4", "train.resume_lr_warmup_steps=2",
                                        "train.warmdown_ratio=0.2"};
  const auto with = [&](const std::string& change) {
    auto all = longer;
    all.push_back(change);
    return all;
  };
  CHECK_THAT(shop.refusal("fresh", longer), contains("train.resume_from_step: expected the checkpoint of step 4 in"));
  CHECK_THAT(shop.refusal("run", with("train.resume_from_step=3")), contains("step_000004 is newer than step 3"));
  CHECK_THAT(shop.refusal("run", with("train.resume_from_step=5")),
             contains("train.resume_from_step: expected the step of the newest"));
  CHECK_THAT(shop.refusal("run", with("train.seed=1")), contains("(train.seed: 26 → 1)"));
  CHECK(read_file(shop / "run/config.yaml") == before);

  shop.run("run", longer);
  CHECK(read_file(shop / "run/config.until_000004.yaml") == before);
  CHECK(checkpoint(shop / "run", 4, "model.safetensors") == model);
  const Lines steps = with_key(metrics(shop / "run"), "lrm");
  REQUIRE(steps.size() == 6);
  CHECK(steps[4]["lrm"] == 0.5);  // (4 − 4 + 1)/2 of the resumption's warm-up
  CHECK(steps[5]["lrm"] == 1.0);  // the rates fall in the last of 6 steps, from its end on
  // Once on its way, it goes on by itself.
  fs::copy(shop / "run", shop / "again", fs::copy_options::recursive);
  fs::remove_all(shop / "again/checkpoints/step_000006");
  shop.run("again", longer);
  check_same_checkpoint(shop / "again", shop / "run", 6);
  CHECK_THAT(shop.refusal("run"), contains("train.resume_from_step: 4 → -1"));
}

TEST_CASE("train: checkpoints are made at milestones and kept") {
  const Workshop shop;
  shop.run("run", {"checkpoint.milestones=[1, 4]", "checkpoint.every=2", "checkpoint.keep_last=1"});
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(shop / "run/checkpoints")) names.insert(entry.path().filename().string());
  CHECK(names == std::set<std::string>{"step_000001", "step_000004", "step_000006"});
}

TEST_CASE("train: what a run that was killed has left of checkpoints is removed") {
  const Workshop shop;
  shop.run("run");
  const fs::path checkpoints = shop / "run/checkpoints";
  for (const char* name : {"step_000004.tmp", "step_000001.old.tmp"}) {
    fs::create_directory(checkpoints / name);
    write_file(checkpoints / name / "model.safetensors", "half of it");
  }
  shop.run("run");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(checkpoints)) names.insert(entry.path().filename().string());
  CHECK(names == std::set<std::string>{"step_000003", "step_000006"});
}

TEST_CASE("train: a disk that is too small is seen before anything is done") {
  const Workshop shop;
  const std::vector<std::string> many{"checkpoint.every=1", "checkpoint.keep_last=900000000", "train.num_iterations=900000000"};
  const std::string why = shop.refusal("run", many);
  CHECK_THAT(why, contains((shop / "run/checkpoints").string()));
  CHECK_THAT(why, contains(" are free; give run.dir"));
  CHECK_FALSE(fs::exists(shop / "run"));

  // What it expects of a checkpoint is what a checkpoint takes, but for headers.
  shop.run("run");
  const RunConfig config = shop.config();
  const int64_t expected = checkpoint_bytes(config, optimizer_settings(config, plan_batches(config)));
  int64_t found = 0;
  for (const char* file : {"model.safetensors", "optimizer-0.safetensors"})
    found += int64_t(checkpoint(shop / "run", 6, file).size());
  CHECK(std::abs(double(found - expected)) < 0.15 * double(found));  // 45 small tensors, 100 bytes of header each
}

TEST_CASE("train: text that is not there") {
  const Workshop shop;
  write_file(shop / "empty.jsonl", "");
  write_file(shop / "empty.txt", "");
  write_file(shop / "blank.jsonl", "\n\n");
  write_file(shop / "one.jsonl", "{\"text\": \"a single document\"}\n");
  const std::string missing = (shop / "missing.jsonl").string();
  const auto path = [&](const char* name) { return (shop / name).string(); };
  struct Refused {
    std::vector<std::string> overrides;
    std::string why;  // begins so
  };
  for (const Refused& r : {
           Refused{{"data.path="}, "data.path: expected a file or a folder"},
           Refused{{"data.path=" + missing}, "data.path: " + missing + " is not there"},
           Refused{{"data.path=" + path("empty.jsonl")},
                   "data.path: " + path("empty.jsonl") + ": expected documents, found none"},
           Refused{{"data.path=" + path("empty.txt")},
                   "data.path: " + path("empty.txt") + ": expected text, found an empty file"},
           Refused{{"data.path=" + path("blank.jsonl")},
                   "data.path: " + path("blank.jsonl") + ": expected documents, found none"},
           Refused{{"data.path=" + path("one.jsonl"), "data.validation=0.5"},
                   "data.validation: 0.5 of " + path("one.jsonl") + ": expected documents, found none"},
           Refused{{"data.validation="},
                   "data.validation: " + shop.text().string() +
                       ": expected shards, of which the last is for validation, found one file"},
           Refused{{"data.validation=1.5"}, "data.validation: expected a share"},
           Refused{{"data.validation=" + missing}, "data.validation: expected a share in (0, 1) or a file, found " + missing},
           Refused{{"data.validation=" + path("empty.jsonl")},
                   "data.validation: " + path("empty.jsonl") + ": expected documents, found none"},
           Refused{{"data.tokenizer=" + missing}, "data.tokenizer: " + missing},
           Refused{{"tokenizer.train_from=" + missing}, "tokenizer.train_from: " + missing + ": there is no such file"},
           Refused{{"model.vocab_size=200", "tokenizer.vocab_size=200"}, "tokenizer.vocab_size: expected at least 265"},
       }) {
    INFO(fmt::format("{}", fmt::join(r.overrides, ", ")));
    const std::string why = shop.refusal("run", r.overrides);
    CHECK(why.substr(0, r.why.size()) == r.why);
    CHECK(why.find('\n') == std::string::npos);
    CHECK_FALSE(fs::exists(shop / "run"));  // else the corrected run would meet another configuration
  }
  CHECK(shop.refusal("run") == "");
}

TEST_CASE("train: a checkpoint that is damaged is refused by name") {
  const Workshop shop;
  shop.run("run", {"checkpoint.keep_last=1"});
  const fs::path at = shop / "run/checkpoints/step_000006";
  CHECK_FALSE(fs::exists(shop / "run/checkpoints/step_000003"));
  for (const char* name : {"model.safetensors", "optimizer-0.safetensors", "state.json"}) {
    const std::string whole = read_file(at / name);
    for (const size_t length : {size_t{0}, whole.size() / 2, whole.size() - 3}) {
      INFO(name << ", the first " << length << " bytes");
      write_file(at / name, std::string_view(whole).substr(0, length));
      CHECK_THAT(shop.refusal("run"), contains((at / name).string()));
    }
    if (std::string(name) != "state.json") {
      std::string other = whole;
      other[other.size() - 2] ^= 1;  // a number's low bits
      write_file(at / name, other);
      CHECK_THAT(shop.refusal("run"), contains((at / name).string() + ": expected the CRC-32 "));
    }
    fs::remove(at / name);
    CHECK_THAT(shop.refusal("run"), contains((at / name).string()));
    write_file(at / name, whole);
  }
  CHECK(shop.refusal("run") == "");
}

TEST_CASE("train: every precision learns, and goes on as if it had not stopped") {
  const auto precision = GENERATE(as<std::string>(), "mixed", "bfloat16", "june");
  const std::string rounding = GENERATE(as<std::string>(), "once", "each_op");
  if (rounding == "each_op" && precision == "mixed") return;  // refused: nothing there is in bfloat16
  INFO(precision << ", " << rounding);
  const std::vector<std::string> set{"train.precision=" + precision, "train.optimizer_rounding=" + rounding};
  const Workshop shop;
  shop.run("whole", set);
  const Lines steps = with_key(metrics(shop / "whole"), "train/ntp_loss_step");
  REQUIRE(steps.size() == 6);
  CHECK(steps[5]["train/ntp_loss_step"] < steps[0]["train/ntp_loss_step"].get<double>() - 0.5);
  fs::copy(shop / "whole", shop / "stopped", fs::copy_options::recursive);
  fs::remove_all(shop / "stopped/checkpoints/step_000006");
  shop.run("stopped", set);
  check_same_checkpoint(shop / "stopped", shop / "whole", 6);
}

TEST_CASE(
    "train: Parquet shards are read while they are learned from, and damaged parts of them left out where that is asked for") {
  const Workshop shop;
  const auto texts = [](int count, int first) {
    std::vector<std::string> all;
    for (int i = first; i < first + count; ++i)
      all.push_back(fmt::format("{} birds and {} fish. The old miller sings of the king, {} times a day, and no one forgets.", i,
                                i * 7 % 31, i % 5));
    return all;
  };
  // A row takes one of these long documents, a step eight rows, and 1000 wait: the fourth step reads on from document 1024.
  TestRowGroup damaged = plain_row_group(texts(3, 5000));
  damaged.pages.push_back({.values = 1, .body = "broken"});
  damaged.rows = 4;
  fs::create_directory(shop / "shards");
  write_file(shop / "shards/a.parquet",
             parquet_file({plain_row_group(texts(1024, 0)), damaged, plain_row_group(texts(300, 2000))}));
  write_file(shop / "shards/b.parquet", parquet_file({plain_row_group(texts(50, 3000))}));
  const std::vector<std::string> strict{"data.path=" + (shop / "shards").string(), "data.validation=", "train.eval_tokens=256",
                                        "tokenizer.train_from=" + shop.text().string()};
  std::vector<std::string> lenient = strict, alone = strict;
  lenient.push_back("data.skip_damaged=true");

  const std::string why = shop.refusal("run", strict);
  CHECK_THAT(why, contains("shards/a.parquet: row group 1, page 1: "));
  CHECK(fs::exists(shop / "run/checkpoints/step_000003"));
  CHECK(with_key(metrics(shop / "run"), "train/ntp_loss_step").size() == 3);
  shop.run("run", lenient);
  shop.run("whole", lenient);
  lenient.push_back("data.workers=5");
  shop.run("workers", lenient);
  for (const char* other : {"run", "workers"}) {
    check_same_checkpoint(shop / other, shop / "whole", 6);
    CHECK(metrics(shop / other) == metrics(shop / "whole"));
  }
  CHECK(with_key(metrics(shop / "whole"), "val/bpb").size() == 2);

  alone[0] = "data.path=" + (shop / "shards/a.parquet").string();
  CHECK_THAT(shop.refusal("alone", alone),
             contains("data.validation: ") && contains("a.parquet: expected shards, of which the last"));
}
