// The program as its users meet it: what is wrong is said in one line, with exit code 2, and nothing is written.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "data/tokenizer/base64.h"
#include "engine/core/file.h"
#include "engine/tensor/safetensors.h"
#include "tests/support/shell.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

/// A folder with the files of a small audit, in which the program runs.
class Desk : public Shell {
 public:
  Desk() {
    const fs::path from = source_dir() / "tests/fixtures/audit/loop_two_passes";
    for (const char* name : {"config.yaml", "weights.safetensors", "batch.safetensors"}) fs::copy_file(from / name, *this / name);
  }

  /// `kappa audit` of the files here.
  Words audit(const Words& more = {}) const {
    return with_more({"audit", *this / "config.yaml", "--weights", *this / "weights.safetensors", "--batch",
                      *this / "batch.safetensors", "--out", *this / "out.safetensors"},
                     more);
  }
};

/// A safetensors file whose header says `now` where it said `before`.
std::string lying(const std::string& file, const std::string& before, const std::string& now) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  std::string header = file.substr(8, length);
  const size_t at = header.find(before);
  REQUIRE(at != std::string::npos);
  header.replace(at, before.size(), now);
  const uint64_t new_length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &new_length, 8);
  return bytes + header + file.substr(8 + length);
}

const std::string tensor = "transformer.h.0.mlp.c_fc.weight";

}  // namespace

TEST_CASE("cli: help and version") {
  const Desk desk;
  for (const Words& words :
       {Words{"--help"}, Words{"--version"}, Words{"audit", "--help"}, Words{"train", "--help"}, Words{"generate", "--help"}}) {
    const Result r = desk.run(words);
    INFO(fmt::format("kappa {}", fmt::join(words, " ")));
    CHECK(r.code == 0);
    CHECK(r.err.empty());
    CHECK(r.out.size() > 5);
  }
  for (const char* word : {"--weights", "--batch", "--out", "--precision", "Example"})
    CHECK_THAT(desk.run({"audit", "--help"}).out, contains(word));
}

TEST_CASE("cli: an audit is written where it is asked for") {
  const Desk desk;
  const Result r = desk.run(desk.audit());
  CHECK(r.code == 0);
  CHECK(r.err.empty());
  CHECK(SafetensorsFile(desk / "out.safetensors").find("logits") != nullptr);
  CHECK_FALSE(fs::exists(desk / "out.safetensors.tmp"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose shadows need more addresses than that
TEST_CASE("cli: a limit on addresses (ulimit -v) does not stop what fits into it") {
  const Desk desk;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  const rlimit tight{.rlim_cur = rlim_t{1} << 30, .rlim_max = before.rlim_max};
  REQUIRE(desk.run(desk.audit({"--threads", "1"})).code == 0);
  const std::string free = desk.read("out.safetensors");
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);  // the program inherits it
  const Result r = desk.run(desk.audit({"--threads", "1"}));
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK(r.err.empty());
  CHECK(r.code == 0);
  CHECK(desk.read("out.safetensors") == free);
}
#endif

TEST_CASE("cli: words that it does not know") {
  const Desk desk;
  desk.check_refused({}, {"subcommand"});
  desk.check_refused({"frobnicate"}, {"frobnicate", "; see kappa --help"});
  desk.check_refused({"--frobnicate"}, {"--frobnicate"});
  desk.check_refused({"audit"}, {"CONFIG"});
  desk.check_refused({"train"}, {"CONFIG", "; see kappa train --help"});
  desk.check_refused({"data", "cat"}, {"FILE", "; see kappa data cat --help"});
  desk.check_refused(desk.audit({"--frobnicate"}), {"--frobnicate"});
  desk.check_refused(desk.audit({"--threads", "many"}), {"--threads", "many"});
  desk.check_refused(desk.audit({"--threads", "-1"}), {"--threads", "-1"});
  desk.check_refused(desk.audit({"--precision", "float8"}), {"--precision", "float8"});
  desk.check_refused(desk.audit({"--device", "abacus"}), {"--device", "abacus"});
}

TEST_CASE("cli: configurations that cannot be") {
  const Desk desk;
  const auto check_set = [&](const Words& assignments, const Words& said) {
    Words words;
    for (const std::string& a : assignments) words.insert(words.end(), {"--set", a});
    desk.check_refused(desk.audit(words), said);
  };
  check_set({"model.n_embdd=32"}, {"model.n_embdd", "n_embd"});
  check_set({"modell.n_embd=32"}, {"modell"});
  check_set({"model.n_embd"}, {"model.n_embd"});
  check_set({"model.n_embd=wide"}, {"model.n_embd", "wide"});
  check_set({"model.n_embd=32.5"}, {"model.n_embd", "32.5"});
  check_set({"model.n_embd=-32"}, {"model.n_embd", "-32"});
  check_set({"model.use_kappa_swiglu=2"}, {"model.use_kappa_swiglu", "2"});
  check_set({"model.expert_mlp=magic"}, {"model.expert_mlp", "magic"});
  check_set({"train.aux_loss_weight=nan"}, {"train.aux_loss_weight"});
  check_set({"model.n_embd=33"}, {"model.n_embd", "model.n_head"});
  check_set({"model.n_head=4", "model.n_kv_head=3"}, {"model.n_head", "model.n_kv_head"});
  check_set({"model.moe_top_k=5"}, {"model.moe_top_k", "model.n_exp"});
  check_set({"model.n_embd=34"}, {"model.n_embd", "model.n_head", "17"});
  check_set({"model.n_embd=1048576", "model.n_exp=1048576"}, {"model.n_embd", "model.n_exp"});
  check_set({"model.sequence_len=1073741824", "train.device_batch_size=1073741824"},
            {"model.sequence_len", "train.device_batch_size"});
  check_set({"model.n_exp=9223372036854775808"}, {"model.n_exp"});
  check_set({"model.vocab_size=99999999999999999999999999"}, {"model.vocab_size"});

  const std::string good = desk.read("config.yaml");
  const std::string file = desk / "config.yaml";
  for (const char* bad :
       {"model: [1, 2", "model:\n  n_embd: 32\n n_head: 2\n", "model:\n\t- {", "\"", "model: &a *a", "- model", "model: 3"}) {
    desk.write("config.yaml", bad);
    desk.check_refused(desk.audit(), {file});
  }
  desk.write("config.yaml", good + "model:\n  n_embd: 32\n");
  desk.check_refused(desk.audit(), {file, "model"});
  desk.write("config.yaml", good + "  typo: 1\n");
  desk.check_refused(desk.audit(), {file, "typo", fmt::format(":{}", std::ranges::count(good, '\n') + 1)});
  fs::remove(desk / "config.yaml");
  desk.check_refused(desk.audit(), {file});
  fs::create_directory(desk / "config.yaml");
  desk.check_refused(desk.audit(), {file});
}

TEST_CASE("cli: weights that are not what they should be") {
  const Desk desk;
  const std::string weights = desk / "weights.safetensors", good = desk.read("weights.safetensors");
  const auto check_bytes = [&](const std::string& bytes, const Words& said) {
    desk.write("weights.safetensors", bytes);
    desk.check_refused(desk.audit(), said);
  };
  check_bytes("", {weights});
  check_bytes(good.substr(0, 100), {weights});
  check_bytes(good.substr(0, good.size() - 1), {weights});
  check_bytes(good + "x", {weights});
  check_bytes(std::string(64, '\xff'), {weights});

  // Headers that lie: of their length, of a shape, of the place of the data, of the type.
  for (const uint64_t length : {uint64_t{0}, uint64_t{10}, uint64_t(good.size()), uint64_t{1} << 62, ~uint64_t{0}}) {
    std::string bytes = good;
    std::memcpy(bytes.data(), &length, 8);
    check_bytes(bytes, {weights});
  }
  const std::string says = "\"" + tensor + "\":{\"dtype\":\"BF16\",\"shape\":[128,32],\"data_offsets\":[";
  const size_t at = good.find(says);
  REQUIRE(at != std::string::npos);
  const std::string begin = good.substr(at + says.size(), good.find(',', at + says.size()) - at - says.size());
  const auto now = [&](const char* type, const char* shape, const std::string& from) {
    return fmt::format("\"{}\":{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{}", tensor, type, shape, from);
  };
  const auto check_lie = [&](const std::string& header) { check_bytes(lying(good, says + begin, header), {weights, tensor}); };
  check_lie(now("BF16", "[32,128]", begin));
  check_lie(now("BF16", "[128,33]", begin));
  check_lie(now("BF16", "[128]", begin));
  check_lie(now("BF16", "[4294967296,4294967296]", begin));
  check_lie(now("BF16", "[9223372036854775807,9223372036854775807]", begin));
  check_lie(now("BF16", "[-128,-32]", begin));
  check_lie(now("BF16", "[1,1,1,128,32]", begin));
  check_lie(now("F32", "[128,32]", begin));
  check_lie(now("F9", "[128,32]", begin));
  check_lie(now("I32", "[64,32]", begin));
  check_lie(now("BF16", "[128,32]", "0"));
  check_lie(now("BF16", "[128,32]", "18446744073709551615"));
  check_lie(now("BF16", "[128,32]", std::to_string(good.size())));

  fs::remove(weights);
  desk.check_refused(desk.audit(), {weights});
  fs::create_directory(weights);
  desk.check_refused(desk.audit(), {weights});
}

TEST_CASE("cli: tokens that are not in the vocabulary") {
  const Desk desk;
  const std::vector<int32_t> good{1, 2, 3, 4, 5, 6}, bad{1, 2, 3, 4, 250, 6};
  const auto entry = [](const char* name, const std::vector<int32_t>& ids) {
    return StoredTensor{name, StoredType::i32, {2, 3}, std::as_bytes(std::span(ids))};
  };
  write_safetensors(desk / "batch.safetensors", {entry("inputs", bad), entry("targets", good)});
  desk.check_refused(desk.audit(), {desk / "batch.safetensors", "inputs", "250", "row 1, position 1"});
  write_safetensors(desk / "batch.safetensors", {entry("inputs", good), entry("targets", bad)});
  desk.check_refused(desk.audit(), {desk / "batch.safetensors", "targets", "250", "row 1, position 1"});
}

TEST_CASE("cli: places that cannot be written to") {
  const Desk desk;
  Words words = desk.audit();
  words.back() = desk / "no/such/folder/out.safetensors";
  desk.check_refused(words, {"no/such/folder/out.safetensors"});
  words.back() = desk / "weights.safetensors" / "out";
  desk.check_refused(words, {"weights.safetensors/out"});
}

TEST_CASE("cli: runs that cannot begin") {
  const Desk desk;
  desk.write("text.jsonl", "{\"text\": \"a document\"}\n{\"text\": \"another\"}\n");
  const auto train = [&](const Words& assignments) {
    Words words{"train", desk / "config.yaml",        "--set", "run.dir=" + (desk / "run").string(),
                "--set", "train.precision=float32",   "--set", "train.num_iterations=1",
                "--set", "train.device_batch_size=1", "--set", "train.total_batch_size=2048"};
    for (const std::string& a : assignments) words.insert(words.end(), {"--set", a});
    return words;
  };
  const std::string text = "data.path=" + (desk / "text.jsonl").string();
  desk.check_refused(train({}), {"data.path"});
  desk.check_refused(train({text}), {"data.validation"});
  desk.check_refused(train({text, "data.validation=2"}), {"data.validation", "2"});
  desk.check_refused(train({text, "data.validation=0.5"}),
                     {"tokenizer.vocab_size", "250"});  // 250 tokens are fewer than there are bytes
  desk.check_refused(train({text, "data.validation=0.5", "train.total_batch_size=100"}),
                     {"train.total_batch_size", "model.sequence_len"});
  desk.check_refused(train({text, "data.validation=0.5", "device=cuda"}),
                     {"device: cuda has no kernels for the model's ops yet"});
  Words on_gpu = train({text, "data.validation=0.5"});
  on_gpu.insert(on_gpu.end(), {"--device", "cuda"});
  desk.check_refused(on_gpu, {"device: cuda has no kernels for the model's ops yet"});
  desk.check_refused(train({"model.depth=4"}), {"model.depth", "model.n_layer", "must then not be given"});
  desk.check_refused(train({"train.warmup_ratio=0.8"}), {"train.warmup_ratio", "train.warmdown_ratio", "together at most 1"});
  desk.check_refused(train({"train.lr_schedule_restart_at_step=1"}),
                     {"train.lr_schedule_restart_at_step", "a run of 1, found 1"});
  desk.check_refused(train({"checkpoint.milestones=[5]"}), {"checkpoint.milestones", "a run of 1, found 5"});
  desk.check_refused(train({text, "data.validation=0.5", "train.resume_from_step=1"}),
                     {"train.resume_from_step", "found no run there"});
  desk.check_refused(train({"train.core_metric_bundle=tasks"}), {"train.core_metric_bundle", "tasks"});
}

TEST_CASE("cli: documents of any file as lines of JSON") {
  const Desk desk;
  const fs::path fixtures = source_dir() / "tests/data/fixtures/parquet";
  desk.write("a.jsonl", "{\"id\": 1, \"text\": \"one \\u03ba \\\"two\\\"\\n\"}\n{\"text\": \"\"}\n");
  desk.write("b.txt", "plain");
  const std::string lines = "{\"text\": \"one κ \\\"two\\\"\\n\"}\n{\"text\": \"\"}\n{\"text\": \"plain\"}\n";
  const Result cat = desk.run({"data", "cat", desk / "a.jsonl", desk / "b.txt"});
  CHECK(cat.code == 0);
  CHECK(cat.out == lines);
  CHECK(cat.err.empty());
  CHECK(desk.run({"data", "cat", desk / "a.jsonl", desk / "b.txt", "--out", desk / "c.jsonl"}).out.empty());
  CHECK(desk.read("c.jsonl") == lines);
  CHECK(desk.run({"data", "cat", desk / "c.jsonl"}).out == lines);

  const Result nulls = desk.run({"data", "cat", fixtures / "nulls.parquet"});
  CHECK(nulls.code == 0);
  CHECK_THAT(nulls.err, contains("rows without a text left out"));
  CHECK(std::ranges::count(nulls.out, '\n') > 10);
  std::string damaged = read_file(fixtures / "gzip.parquet");
  damaged[40] = char(damaged[40] ^ 1);
  desk.write("damaged.parquet", damaged);
  desk.check_refused({"data", "cat", desk / "damaged.parquet", "--out", desk / "d.jsonl"},
                     {"damaged.parquet: row group 0, page 0: expected the CRC"});
  const Result skipped = desk.run({"data", "cat", "--skip-damaged", desk / "damaged.parquet"});
  CHECK(skipped.code == 0);
  CHECK(skipped.out.empty());
  CHECK_THAT(skipped.err, contains("damaged.parquet: left out as damaged: 1 row groups or lines, 0 files"));
}

TEST_CASE("cli: what a file of texts holds") {
  const Desk desk;
  const Result r = desk.run({"data", "inspect", source_dir() / "tests/data/fixtures/parquet/nested.parquet"});
  CHECK(r.code == 0);
  for (const char* word :
       {"text: BYTE_ARRAY (STRING), optional", "12 rows in 1 row groups", "SNAPPY", "PLAIN", "documents", "bytes"})
    CHECK_THAT(r.out, contains(word));

  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += fmt::format("{} {}\n", base64_encode(std::string(1, char(i))), i);
  desk.write("bytes.tiktoken", bytes);
  desk.write("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"t\\u001b[2Jwo\"}\n");
  const Words words{"data", "inspect", desk / "a.jsonl", "--tokenizer", desk / "bytes", "--seq-len", "12", "--color"};
  const auto with = [&](const char* color) {
    Words all = words;
    all.emplace_back(color);
    return desk.run(all).out;
  };
  CHECK_THAT(with("never"), contains("<|bos|>t?[2Jwo<|bos|>one"));
  CHECK_THAT(with("never"), contains("265 ids"));
  CHECK(with("never").find('\x1b') == std::string::npos);
  CHECK(with("auto") == with("never"));
  CHECK_THAT(with("always"), contains("\x1b[36m<|bos|>t?[2Jwo\x1b[0m\x1b[33m<|bos|>one\x1b[0m"));
}

TEST_CASE("cli: data inspect of a folder says what is held out") {
  const Desk desk;
  std::filesystem::create_directory(desk / "shards");
  for (const char* name : {"a.parquet", "b.parquet"})
    desk.write(std::string("shards/") + name, read_file(source_dir() / "tests/data/fixtures/parquet/nested.parquet"));
  const Result r = desk.run({"data", "inspect", desk / "shards", "--documents", "3"});
  CHECK(r.code == 0);
  CHECK_THAT(r.out,
             contains("2 files") && contains("from a.parquet to b.parquet") && contains("of the last file are for validation"));
  desk.write("shards/c.parquet", "damaged");
  desk.check_refused({"data", "inspect", desk / "shards"}, {"c.parquet"});
  CHECK_THAT(desk.run({"data", "inspect", desk / "shards", "--skip-damaged"}).out, contains("1 damaged files"));
  const Result cat = desk.run({"data", "cat", desk / "shards", "--skip-damaged"});
  CHECK(cat.code == 0);
  CHECK_THAT(cat.err, contains("left out as damaged: 0 row groups or lines, 1 files"));
}

TEST_CASE("cli: data that cannot be read or packed") {
  const Desk desk;
  desk.check_refused({"data"}, {"subcommand"});
  desk.check_refused({"data", "frobnicate"}, {"expected a subcommand (cat, inspect, pack), found frobnicate"});
  desk.check_refused({"data", "cat"}, {"FILE"});
  desk.check_refused({"data", "cat", desk / "none.jsonl"}, {"none.jsonl"});
  desk.check_refused({"data", "cat", desk / "config.yaml", "--out", desk / "no/such/folder"}, {"no/such/folder"});
  desk.check_refused({"data", "cat", desk / "config.yaml", "--out", ""}, {"--out: expected a value, found nothing"});
  desk.write("a.jsonl", "{\"text\": 1}\n");
  desk.check_refused({"data", "cat", desk / "a.jsonl"}, {"a.jsonl:1", "text"});
  desk.check_refused({"data", "cat", "--field", "body", desk / "a.jsonl"}, {"a.jsonl:1", "body"});
  const auto pack = [&](const Words& more) {
    return with_more({"data", "pack", "--tokenizer", desk / "none", "--seq-len", "8", "--batch", "1"}, more);
  };
  desk.check_refused(pack({}), {"PATH"});
  desk.check_refused(pack({desk / "a.jsonl"}), {"--rows"});
  desk.check_refused(pack({desk / "a.jsonl", "--rows", "0"}), {"--rows", "0"});
  desk.check_refused(pack({desk / "a.jsonl", "--rows", "1", "--split", "test"}), {"--split", "test"});
  desk.check_refused(pack({desk / "a.jsonl", "--rows", "1", "--threads", "-1"}), {"--threads", "-1"});
  desk.check_refused(pack({desk / "a.jsonl", "--rows", "1", "--validation", "2"}), {"--validation: expected a share", "2"});
  desk.check_refused(pack({desk / "a.jsonl", "--rows", "1"}), {"none.tiktoken"});
}
