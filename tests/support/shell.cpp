#include "tests/support/shell.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace kappa::test {

namespace fs = std::filesystem;

int Shell::start(Words words, std::string_view input) const {
  words.insert(words.begin(), kappa_binary());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const fs::path in = said_ / "in", out = said_ / "out", err = said_ / "err";
  write_file(in, input);
  fs::remove(out);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawnattr_t attributes;  // under nohup, too, the signals of the tests arrive
  posix_spawnattr_init(&attributes);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, kappa_binary().c_str(), &actions, &attributes, arguments.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return child;
}

Result Shell::finish(int child) const {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(said_ / "out"), read_file(said_ / "err")};
}

Result Shell::run(const Words& words, std::string_view input) const { return finish(start(words, input)); }

Result Shell::interrupt(const Words& words, const std::vector<int>& signals, std::string_view text) const {
  const int child = start(words, "");
  for (int i = 0; i < 6000; ++i) {  // a minute
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!fs::exists(said_ / "out")) continue;
    if (const std::string out = read_file(said_ / "out"); !out.empty() && out.find(text) != std::string::npos) break;
  }
  for (int signal : signals) {
    kill(child, signal);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // two that wait at the same time would be one
  }
  return finish(child);
}

Result Shell::check_refused_late(const Words& words, const Words& said, std::string_view input) const {
  const Listing before = listing();
  const Result r = run(words, input);
  INFO(fmt::format("kappa {}", fmt::join(words, " ")));
  INFO("standard error: " << r.err);
  CHECK(r.code == 2);
  CHECK(std::ranges::count(r.err, '\n') == 1);
  CHECK(r.err.ends_with('\n'));
  CHECK(r.err.starts_with("kappa: "));
  for (const std::string& word : said) CHECK_THAT(r.err, contains(word));
  CHECK(listing() == before);
  return r;
}

void Shell::check_refused(const Words& words, const Words& said, std::string_view input) const {
  CHECK(check_refused_late(words, said, input).out.empty());
}

Shell::Listing Shell::listing() const {
  Listing all;
  for (const auto& entry : fs::recursive_directory_iterator(files_.path()))  // of a link that leads nowhere there is no time
    all.emplace(entry.path(), entry.is_symlink() ? fs::file_time_type() : entry.last_write_time());
  return all;
}

}  // namespace kappa::test
