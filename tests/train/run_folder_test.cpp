// A run's folder that is not as a run leaves it: what `kappa train` then says, and that it changes nothing.

#include "train/run_folder.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/tensor/safetensors.h"
#include "tests/support/training_desk.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// A folder with a text and a configuration, in which a run has made its four steps.
class Desk : public TrainingDesk {
 public:
  Desk() : TrainingDesk("num_iterations: 4, eval_every: -1, log_interval: 1, sample_tokens: 1", "checkpoint: {every: 2}\n") {}
  fs::path newest() const { return folder() / "checkpoints/step_000004"; }

  Words train(const Words& assignments = {}) const {
    Words settings;
    for (const std::string& a : assignments) settings.insert(settings.end(), {"--set", a});
    return TrainingDesk::train(settings);
  }
  void trained(const Words& assignments = {}) const {
    const Result r = run(train(assignments));
    INFO(r.err);
    REQUIRE(r.code == 0);
  }

  /// The state of the newest checkpoint with another value in it is refused with these words.
  void check_state_refused(const std::string& place, const Json& value, const Words& said) const {
    const fs::path file = newest() / "state.json";
    const std::string whole = read_file(file);
    Json state = Json::parse(whole);
    state[Json::json_pointer(place)] = value;
    write_file(file, state.dump());
    INFO(place << " = " << value.dump());
    Words all{file.string() + ": "};
    all.insert(all.end(), said.begin(), said.end());
    CHECK_THAT(check_refused_late(train(), all).err, !contains("json.exception"));
    write_file(file, whole);
  }

  /// The same, of the first element of a float32 tensor in one of its files.
  void check_number_refused(const char* name, const std::string& tensor, float value, const char* shown) const {
    const fs::path file = newest() / name, aside = *this / "aside";
    fs::rename(file, aside);
    {
      const SafetensorsFile before(aside);
      std::vector<StoredTensor> tensors(before.tensors().begin(), before.tensors().end());
      std::vector<float> numbers;
      for (StoredTensor& t : tensors) {
        if (t.name != tensor) continue;
        numbers.resize(size_t(t.size()));
        before.read(t, std::span(numbers));
        numbers[0] = value;
        t.bytes = std::as_bytes(std::span(numbers));
      }
      REQUIRE_FALSE(numbers.empty());
      write_safetensors(file, tensors);
    }
    check_refused_late(train(), {file.string(), fmt::format("{}: expected finite numbers, found {} at [0, 0]", tensor, shown)});
    fs::rename(aside, file);
  }
};

}  // namespace

TEST_CASE("run folder: a checkpoint that says what cannot be is refused, and nothing in the folder changes") {
  const Desk desk;
  desk.trained();
  for (const Json& step : {Json(99), Json(-1), Json(0)})
    desk.check_state_refused("/step", step, {fmt::format("step: expected 4, the number of its folder, found {}", step.dump())});
  for (const Json& step : {Json(5.9), Json(4.0), Json(0x1p70), Json(nullptr), Json("4"), Json::array()})
    desk.check_state_refused("/step", step, {"step: expected an integer, found "});
  desk.check_state_refused("/smooth_loss", nullptr, {"smooth_loss: expected a number, found null"});
  desk.check_state_refused("/seconds", "1", {"seconds: expected a number, found \"1\""});
  desk.check_state_refused("/loader", 7, {"loader: expected a JSON object, found 7"});
  desk.check_state_refused("/surplus", 7, {"found surplus too"});
  desk.check_state_refused("/loader/surplus", 7, {"loader: expected the keys", "found surplus too"});
  for (const Json& slices : {Json(nullptr), Json::array(), Json(1.5), Json(-1), Json(int64_t{1} << 62)})
    desk.check_state_refused("/loader/slices", slices, {"loader: slices: expected an integer from 0 to "});
  desk.check_state_refused("/loader/slices", 0, {"loader: waiting: expected [segment, used], segments of 0 slices, found ["});
  for (const Json& waiting : {Json(nullptr), Json::object(), Json(3)})
    desk.check_state_refused("/loader/waiting", waiting, {"loader: waiting: expected a list of [segment, used], found "});
  for (const char* entry : {"[[1.5, 0]]", "[[-1, 0]]", "[[1]]", "[[1, 0, 0]]", "[7]", "[[4611686018427387904, 0]]", "[[0, -1]]"})
    desk.check_state_refused("/loader/waiting", Json::parse(entry), {"loader: waiting: expected [segment, used], segments of "});
  desk.check_state_refused("/loader/waiting", Json::array(), {"segments that wait, found 0"});
  desk.check_state_refused("/loader/waiting", Json::parse("[[5, 0], [5, 0]]"),
                           {"every segment once, in their order, found 5 after 5"});
  desk.check_state_refused("/loader/waiting", Json::parse("[[5, 4000]]"), {"segment 5 has "});
  desk.check_state_refused("/loader/rank", 1, {"written by rank 1 of 1, and this is rank 0 of 1"});
  desk.check_state_refused("/loader/stream", 1, {"it belongs to other training data"});

  const fs::path renamed = desk.folder() / "checkpoints/step_000099";
  fs::rename(desk.newest(), renamed);
  desk.check_refused_late(desk.train(),
                          {(renamed / "state.json").string(), "step: expected 99, the number of its folder, found 4"});
  write_file(renamed / "state.json", [&] {
    Json state = Json::parse(read_file(renamed / "state.json"));
    state["step"] = 99;
    return state.dump();
  }());
  desk.check_refused_late(desk.train(), {renamed.string(), "expected a step up to 4, the end of the run, found 99"});
}

TEST_CASE("run folder: numbers of a checkpoint that are not finite are refused by name") {
  const Desk desk;
  desk.trained();
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  desk.check_number_refused("model.safetensors", "transformer.wte.weight", nan, "nan");
  desk.check_number_refused("model.safetensors", "lm_head.weight", -nan, "nan");
  desk.check_number_refused("optimizer-0.safetensors", "lm_head.weight.second_moment", infinity, "inf");
  desk.check_number_refused("optimizer-0.safetensors", "transformer.h.0.attn.c_q.weight.momentum", -infinity, "-inf");
  desk.trained();
}

TEST_CASE("run folder: checkpoints without what they were trained with are refused") {
  const Desk desk;
  desk.trained();
  for (const char* name : {"tokenizer.tiktoken", "config.yaml"}) {
    fs::rename(desk.folder() / name, desk / "aside");
    desk.check_refused(desk.train(), {(desk.folder() / name).string() + ": expected the ",
                                      "checkpoints/step_000004 was trained with, found none"});
    fs::rename(desk / "aside", desk.folder() / name);
  }
  desk.trained();
}

TEST_CASE("run folder: one process at a time works in it, and one that was killed does not keep it") {
  const Desk desk;
  fs::create_directory(desk.folder());
  {
    FolderLock lock;
    REQUIRE(lock.take(desk.folder()));
    desk.check_refused(desk.train(), {desk.folder().string() + ": another kappa train is working here"});
  }
  const Words endless = desk.train({"train.num_iterations=1000000"});
  CHECK(desk.interrupt(endless, {SIGKILL}, "step ").code == -1);
  CHECK(desk.interrupt(endless, {SIGTERM}, "step ").code == 0);
}

TEST_CASE("run folder: what a run has left that failed before its first checkpoint is nobody's") {
  const Desk desk;
  const Result failed = desk.run(desk.train({"train.matrix_lr=1e30", "tokenizer.vocab_size=270"}));
  CHECK(failed.code == 1);
  CHECK_THAT(failed.err, !contains("-nan"));
  CHECK(fs::exists(desk.folder() / "config.yaml"));
  const std::string tokenizer = read_file(desk.folder() / "tokenizer.tiktoken");
  desk.trained();
  CHECK_THAT(read_file(desk.folder() / "config.yaml"), !contains("1e+30"));
  CHECK(read_file(desk.folder() / "tokenizer.tiktoken") != tokenizer);
  std::string steps;
  const std::string metrics = read_file(desk.folder() / "metrics.jsonl");
  for (size_t at = 0; at < metrics.size(); at = metrics.find('\n', at) + 1) {
    const auto line = Json::parse(metrics.substr(at, metrics.find('\n', at) - at));
    if (line.contains("lrm")) steps += line["step"].dump();
  }
  CHECK(steps == "0123");
  // With a checkpoint, it is somebody's.
  desk.check_refused(desk.train({"train.matrix_lr=0.02"}), {"a run with another configuration is there", "train.matrix_lr"});
  // And what no run has left is not touched: this might be the user's own file.
  fs::create_directory(desk / "own");
  desk.write("own/config.yaml", "train: {seed: 5}\n");
  desk.check_refused(desk.train({"run.dir=" + (desk / "own").string()}), {"a run with another configuration is there"});
}

TEST_CASE("run folder: names that cannot be a folder's or a text's") {
  const Desk desk;
  fs::create_symlink("loop", desk / "loop");
  const std::string loop = (desk / "loop").string(), text = (desk / "text.jsonl").string();
  desk.check_refused(desk.train({"run.dir=" + (desk / std::string(300, 'x')).string()}), {"run.dir: ", "File name too long"});
  desk.check_refused(desk.train({"run.dir=" + loop}), {"run.dir: " + loop + ": Too many levels of symbolic links"});
  desk.check_refused(desk.train({"run.dir=" + text}), {"run.dir: " + text + ": expected a folder, found a file"});
  desk.check_refused(desk.train({"run.dir=" + text + "/run"}), {"run.dir: " + text + ": expected a folder, found a file"});
  desk.check_refused(desk.train({"data.path=" + loop}), {"data.path: " + loop + ": Too many levels of symbolic links"});
  for (const char* key : {"data.validation", "data.tokenizer", "tokenizer.train_from"})
    desk.check_refused_late(desk.train({fmt::format("{}={}", key, loop)}), {key, loop});
}
