// What people do in a hurry: each is answered in one line, and costs them nothing.

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>

#include "data/tokenizer/base64.h"
#include "tests/support/shell.h"
#include "tests/support/training_desk.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

/// A folder with a text, and the tokenizer of the 256 bytes.
class Desk : public Shell {
 public:
  Desk() {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += fmt::format("{} {}\n", base64_encode(std::string(1, char(i))), i);
    write("bytes.tiktoken", bytes);
    write("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
  }

  /// The exit code of a line of the shell, in which $kappa is the program and this folder the current one.
  int shell(const std::string& line) const {
    const std::string all = fmt::format("cd '{}' || exit; kappa='{}'; {}", (*this / "").string(), kappa_binary().string(), line);
    return WEXITSTATUS(std::system(("{ " + all + "; } 2> '" + (*this / "err").string() + "'").c_str()));
  }
};

}  // namespace

TEST_CASE("careless: a standard output that takes nothing is an error") {
  const Desk desk;
  for (const char* words : {"--help", "--version", "data --help", "completion bash", "data cat a.jsonl"})
    for (const char* nowhere : {"> /dev/full", ">&-"}) {
      INFO(words << " " << nowhere);
      CHECK(desk.shell(fmt::format("$kappa {} {}", words, nowhere)) == 1);
      CHECK(std::ranges::count(desk.read("err"), '\n') == 1);
    }
  CHECK(desk.shell("$kappa --help > /dev/full") == 1);
  CHECK(desk.read("err") == "kappa: standard output: cannot be written to\n");
  // A file that is opened does not become the standard output.
  CHECK(desk.shell("$kappa data cat a.jsonl --out b.jsonl >&- 2>&-") == 0);
  CHECK(desk.read("b.jsonl") == desk.read("a.jsonl"));
}

TEST_CASE("careless: no output replaces what it is made from") {
  const Desk desk;
  fs::create_hard_link(desk / "a.jsonl", desk / "same.jsonl");
  fs::create_symlink(desk / "a.jsonl", desk / "link.jsonl");
  const std::string text = desk / "a.jsonl", tokenizer = desk / "bytes", said = "expected another file than those that are read";
  for (const char* out : {"a.jsonl", "same.jsonl", "link.jsonl"}) {
    desk.check_refused({"data", "cat", text, "--out", desk / out}, {"--out", out, said});
    desk.check_refused({"tokenizer", "encode", text, "--tokenizer", tokenizer, "--ids", desk / out}, {"--ids", out, said});
    desk.check_refused({"tokenizer", "decode", text, "--tokenizer", tokenizer, "--out", desk / out}, {"--out", out, said});
    for (const char* option : {"--out", "--state"})
      desk.check_refused(
          {"data", "pack", text, "--tokenizer", tokenizer, "--rows", "1", "--seq-len", "2", "--batch", "1", option, desk / out},
          {option, out, said});
    desk.check_refused({"audit", "x.yaml", "--weights", text, "--batch", "b", "--out", desk / out}, {"--out", out, said});
  }
  desk.check_refused({"data", "cat", desk / "", "--out", text}, {"--out", "a.jsonl", said});
  desk.check_refused({"tokenizer", "encode", text, "--tokenizer", tokenizer, "--ids", desk / "bytes.tiktoken"}, {"--ids", said});
  desk.check_refused({"tokenizer", "import", tokenizer, "--out", tokenizer}, {"--out", "bytes.tiktoken", said});
  CHECK(desk.run({"data", "cat", desk / "", "--out", desk / "new.jsonl"}).code == 0);
}

TEST_CASE("careless: a signal leaves no unfinished file") {
  const Desk desk;
  REQUIRE(mkfifo((desk / "pipe.jsonl").c_str(), 0600) == 0);
  for (const auto& [signal, code] : {std::pair{"INT", 130}, {"TERM", 143}, {"HUP", 129}}) {
    INFO(signal);
    // The program waits in a pipe for more text, its output begun; a shell's children would ignore SIGINT.
    CHECK(desk.shell(fmt::format("env --default-signal=INT $kappa data cat pipe.jsonl --out out.jsonl & exec 3> pipe.jsonl; "
                                 "until [ -e out.jsonl.tmp ]; do sleep 0.01; done; kill -{} $!; wait $!",
                                 signal)) == code);
    CHECK_FALSE(fs::exists(desk / "out.jsonl"));
    CHECK_FALSE(fs::exists(desk / "out.jsonl.tmp"));
  }
}

TEST_CASE("careless: pipes and devices are not waited for where a file is expected") {
  const Desk desk;
  for (const char* name : {"pipe", "pipe.parquet"}) REQUIRE(mkfifo((desk / name).c_str(), 0600) == 0);
  const std::string pipe = desk / "pipe";
  desk.check_refused({"data", "cat", "/dev/zero"}, {"/dev/zero: expected a file or a folder, found a device"});
  desk.check_refused({"data", "cat", pipe}, {"pipe: expected text, found an empty file"});
  desk.check_refused({"data", "inspect", desk / "pipe.parquet"}, {"pipe.parquet: expected a regular file"});
  desk.check_refused({"train", pipe}, {"pipe: expected sections of keys, found none"});
  desk.check_refused({"tokenizer", "inspect", "--tokenizer", pipe}, {"pipe: expected a tokenizer"});
  desk.check_refused({"tokenizer", "inspect", "--tokenizer", desk / "a.jsonl"}, {"a.jsonl: expected a tokenizer (T.tiktoken, "});
  desk.check_refused({"data", "pack", pipe, "--validation", "0.5", "--tokenizer", desk / "bytes", "--rows", "1", "--seq-len", "2",
                      "--batch", "1"},
                     {"pipe: expected a file, which can be read again, or a folder, found a pipe"});
  CHECK(desk.shell("cat a.jsonl | $kappa data cat /dev/stdin > /dev/null") == 0);
}

TEST_CASE("careless: empty values, and texts that are no text") {
  const Desk desk;
  for (const Words& words : {Words{"data", "cat", desk / "a.jsonl", "--out", ""},
                             {"tokenizer", "train", desk / "a.jsonl", "--out", ""},
                             {"tokenizer", "encode", desk / "a.jsonl", "--tokenizer", ""},
                             {"generate", "x", "--temperature", ""},
                             {"data", "pack", "x", "--rank", ""},
                             {"audit", "x", "--out", ""}})
    desk.check_refused(words, {words[words.size() - 2] + ": expected a value, found nothing"});
  desk.check_refused({"data", "cat", "x\n\x1b[2J\xff"}, {"kappa: x\\n\\x1B[2J\\xFF: there is no such file"});
  desk.check_refused({"\x1b[2J\n"}, {"found \\x1B[2J\\n"});
}

TEST_CASE("careless: rows that a state could not go on from") {
  const Desk desk;
  const Words pack{"data", "pack", desk / "a.jsonl", "--validation", "0.5", "--tokenizer", desk / "bytes", "--seq-len", "2"};
  desk.check_refused(with_more(pack, {"--rows", "3", "--batch", "2", "--state", desk / "state"}),
                     {"--rows: expected a multiple of --batch, 2, ", "found 3"});
  desk.check_refused(with_more(pack, {"--rows", "2", "--batch", "2", "--state", desk / "new", "--out", desk / "./new"}),
                     {"--state: expected another file than --out, found "});
}

TEST_CASE("careless: numbers beside what they may be") {
  const Desk desk;
  const auto bench = [&](const Words& more) { return with_more({"bench", "moe", "--small"}, more); };
  desk.check_refused(bench({"--capacity", "nan"}), {"--capacity", "nan"});
  desk.check_refused(bench({"--channels", "33"}), {"--channels: expected an even number of at least 32, found 33"});
  desk.check_refused(bench({"--top-k", "5"}), {"--top-k: expected at most 4, the number of --experts, found 5"});
  desk.check_refused(bench({"--channels", "1000000000"}), {"--channels, --experts"});
  CHECK_THAT(desk.run(bench({"--steps", "3", "--tokens", "64", "--threads", "1", "--json"})).out,
             contains("\"steps\":3") && contains("\"tokens\":64") && contains("\"channels\":32"));
  const auto pack = [&](const Words& more) {
    return with_more({"data", "pack", desk / "a.jsonl", "--tokenizer", "t", "--rows", "1", "--seq-len", "2", "--batch", "1"},
                     more);
  };
  desk.check_refused(pack({"--world", "0"}), {"--world", "0"});
  desk.check_refused(pack({"--rank", "2", "--world", "2"}), {"--rank: expected at most 1, one less than --world, found 2"});
  for (const char* seed : {"-1", "18446744073709551616", "1.5"})
    desk.check_refused({"generate", "x", "--seed", seed}, {"--seed: expected an integer from 0 to 2^64 - 1, found ", seed});
  desk.check_refused({"generate", "x", "--seed", "18446744073709551615"}, {"x: expected a run's folder"});
}

TEST_CASE("careless: configurations") {
  const TrainingDesk desk("num_iterations: 10");
  const auto set = [&](const std::string& assignment, const Words& said) {
    desk.check_refused(desk.train({"--set", assignment}), said);
  };
  set("checkpoint.milestones=[3, 4x, 5]", {"checkpoint.milestones: element 2: expected an integer of at least 1, found \"4x\""});
  set("train.total_batch_size=9007199254740993", {"expected an integer of at least 1 or -1", "beyond 2^53"});
  set("threads=1025", {"threads", "1024"});
  set("train.sample_tokens=160", {"train.sample_tokens: expected less than", "160"});
  fs::create_directory(desk / "empty");
  set("data.path=" + (desk / "empty").string(), {"data.path: ", "found none"});
  REQUIRE(mkfifo((desk / "pipe").c_str(), 0600) == 0);
  set("data.path=" + (desk / "pipe").string(),
      {"data.path: ", "expected a file, which can be read again, or a folder, found a pipe"});
  desk.check_refused({"bench", desk / "tiny.yaml", "--set", "device=cuda"}, {"device: cuda"});
  desk.check_refused({"audit", desk / "tiny.yaml", "--weights", "w", "--batch", "b", "--out", "o", "--set", "device=cuda"},
                     {"device: cuda"});
  for (const char* const nothing : {" \n", "# model:\n#   n_layer: 2\n", "---\n"}) {
    desk.write("empty.yaml", nothing);
    desk.check_refused({"train", desk / "empty.yaml"}, {"empty.yaml: expected sections of keys, found none"});
  }
}

TEST_CASE("careless: a dry run says why the run itself would be refused") {
  const TrainingDesk desk("num_iterations: 10");
  CHECK(desk.run(desk.train({"--dry-run"})).err.empty());
  desk.write("file", "");
  for (const auto& [assignment, why] :
       {std::pair<std::string, std::string>{"data.path=nowhere", "data.path: nowhere is not there"},
        {"device=cuda", "device: cuda"},
        {"run.dir=" + (desk / "file").string(), "run.dir: "}}) {
    const Result r = desk.run(desk.train({"--dry-run", "--set", assignment}));
    CHECK(r.code == 0);
    CHECK_THAT(r.out, contains("parameters"));
    CHECK_THAT(r.err, contains("kappa: here this run would be refused: " + why));
  }
  CHECK_FALSE(fs::exists(desk.folder()));
}

TEST_CASE("careless: no work is announced before its text is found") {
  const TrainingDesk desk("num_iterations: 10");
  fs::create_symlink(desk / "loop", desk / "loop");
  desk.check_refused(desk.train({"--set", "tokenizer.train_from=" + (desk / "loop").string()}),
                     {"tokenizer.train_from: ", "loop"});
}
