// `kappa train` as its users meet it: signals, and what it says.

#include <fmt/format.h>

#include <regex>

#include "tests/support/training_desk.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

/// A folder with a text and a configuration of far more steps than anybody waits for.
class Desk : public TrainingDesk {
 public:
  Desk() : TrainingDesk("num_iterations: 1000000, eval_every: 1") {}
  int checkpoints() const {
    std::error_code error;
    int count = 0;
    for (const auto& entry : fs::directory_iterator(folder() / "checkpoints", error)) count += entry.is_directory();
    return count;
  }
};

}  // namespace

TEST_CASE("train command: a signal saves and ends it with 0, and the same command goes on") {
  const int signal = GENERATE(SIGINT, SIGTERM, SIGHUP, SIGUSR1);
  INFO("signal " << signal);
  const Desk desk;
  const Result stopped = desk.interrupt(desk.train(), {signal}, "step 1/");
  CHECK(stopped.code == 0);
  CHECK(stopped.err.empty());
  std::smatch step;
  REQUIRE(std::regex_search(stopped.out, step, std::regex("stopped after step (\\d+) of 1000000; the same command goes on")));
  const std::string checkpoint = fmt::format("step_{:06}", std::stoi(step[1]));
  CHECK(desk.checkpoints() == 1);
  CHECK(fs::exists(desk.folder() / "checkpoints" / checkpoint / "state.json"));

  const Result again = desk.interrupt(desk.train(), {signal}, "MFU");
  CHECK(again.code == 0);
  CHECK_THAT(again.out, contains("going on from") && contains(checkpoint));
}

TEST_CASE("train command: a second Ctrl-C ends it at once") {
  const Desk desk;
  // One step of this takes hours; after the first signal it would be waited for.
  const Words slow = desk.train({"--set", "train.total_batch_size=1600000000"});
  const Result r = desk.interrupt(slow, {SIGINT, SIGINT}, "M parameters");
  CHECK(r.code == -1);
  CHECK(desk.checkpoints() == 0);
}

TEST_CASE("train command: the progress line") {
  const Desk desk;
  const Result r = desk.run(desk.train({"--set", "train.num_iterations=3"}));
  CHECK(r.code == 0);
  // Of the last step; what was held out has been seen after the one before.
  const std::regex line(
      R"(step 3/3 \(100%\)  loss \d\.\d{4}  val \d\.\d{4} bits/byte  lr \d\.\d\d×  \d+ tokens/s  MFU \d+%  ETA 0s  \d\.\d GiB\n)");
  INFO(r.out);
  CHECK(std::regex_search(r.out, line));
  CHECK_THAT(r.out, contains("warning: κ stays as it is in this run of 3 steps: it learns from step 200 on"));
}
