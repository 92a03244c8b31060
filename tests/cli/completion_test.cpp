// The completions of the shells are held against what --help says, by the shells themselves.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/shell.h"
#include "tests/support/skip.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Set = std::set<std::string>;

struct Command {
  std::string path;  // "kappa data cat"
  Set options, commands;
};

Words words_of(const std::string& text) {
  std::istringstream in(text);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// What `kappa … --help` lists, and that it shows an example.
Command read_help(const Shell& shell, const std::string& path) {
  Words words = words_of(path + " --help");
  words.erase(words.begin());
  const Result r = shell.run(words);
  INFO(path << " --help");
  CHECK(r.code == 0);
  CHECK_THAT(r.out, contains("Example"));
  Command command{.path = path};
  const std::string text = r.out;
  const size_t end = std::min(text.find("Example"), text.size()), below = std::min(text.find("Subcommands:"), end);
  const std::string options = text.substr(0, below);
  const std::regex option(R"(\n  (-\w,)?(--[a-z][a-z-]*))"), name(R"(\n  ([a-z]+) )");
  for (auto at = std::sregex_iterator(options.begin(), options.end(), option); at != std::sregex_iterator(); ++at) {
    command.options.insert((*at)[2]);
    if ((*at)[1].matched) command.options.insert((*at)[1].str().substr(0, 2));
  }
  const std::string commands = text.substr(below, end - below);
  for (auto at = std::sregex_iterator(commands.begin(), commands.end(), name); at != std::sregex_iterator(); ++at)
    command.commands.insert((*at)[1]);
  return command;
}

/// All commands, from the help of those above them.
const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    const Shell shell;
    std::vector<Command> found{read_help(shell, "kappa")};
    for (size_t i = 0; i < found.size(); ++i)
      for (const std::string& name : Set(found[i].commands)) found.push_back(read_help(shell, found[i].path + " " + name));
    return found;
  }();
  return all;
}

/// The words that a program of the system prints.
Set printed(const std::string& command) {
  FILE* const pipe = popen((command + " 2>/dev/null").c_str(), "r");
  REQUIRE(pipe);
  std::string text;
  std::array<char, 4096> block{};
  while (const size_t count = std::fread(block.data(), 1, block.size(), pipe)) text.append(block.data(), count);
  pclose(pipe);
  const Words words = words_of(text);
  return {words.begin(), words.end()};
}

bool there_is(const char* program) { return std::system(fmt::format("command -v {} >/dev/null", program).c_str()) == 0; }

Set with(const Set& a, const Set& b) {
  Set all = a;
  all.insert(b.begin(), b.end());
  return all;
}

class Scripts : public Shell {
 public:
  Scripts() {
    for (const char* shell : {"bash", "zsh", "fish"}) {
      const Result r = run({"completion", shell});
      REQUIRE(r.code == 0);
      write(shell, r.out);
    }
  }
  /// What bash would offer for the last of these words.
  Set bash(const std::string& words) const {
    const auto count = std::count(words.begin(), words.end(), ' ');
    return printed(
        fmt::format("bash -c 'source {}; COMP_WORDS=({}); COMP_CWORD={}; _kappa; printf \"%s\\n\" \"${{COMPREPLY[@]}}\"'",
                    (*this / "bash").string(), words, count));
  }
};

}  // namespace

TEST_CASE("completion: help finds the commands that there are") {
  Set paths;
  for (const Command& c : commands()) {
    paths.insert(c.path);
    CHECK(c.options.contains("--help"));
  }
  for (const char* path : {"kappa", "kappa train", "kappa generate", "kappa data pack", "kappa completion", "kappa doctor"})
    CHECK(paths.contains(path));
}

TEST_CASE("completion: bash offers every command and option") {
  const Scripts scripts;
  for (const Command& c : commands()) {
    INFO(c.path);
    CHECK(scripts.bash(c.path + " --") == [&] {
      Set long_ones;
      for (const std::string& option : c.options)
        if (option.starts_with("--")) long_ones.insert(option);
      return long_ones;
    }());
    if (!c.commands.empty()) CHECK(scripts.bash(c.path + " \"\"") == with(c.commands, c.options));
  }
  CHECK(scripts.bash("kappa generate --precision \"\"") == Set{"float32", "bfloat16", "float64"});
  CHECK(scripts.bash("kappa train x.yaml --set model.n_h") == Set{"model.n_head="});
  CHECK(scripts.bash("kappa generate runs/x --set train.") == Set{});
  CHECK(scripts.bash("kappa completion \"\"") == Set{"bash", "zsh", "fish", "--help", "-h"});
  CHECK(scripts.bash("kappa data c") == Set{"cat"});
}

TEST_CASE("completion: fish offers every command and option") {
  if (!there_is("fish")) return skip("fish is not installed");
  const Scripts scripts;
  const auto offered = [&](const std::string& line) {
    Set words;
    for (const std::string& word : printed(fmt::format(
             "fish --no-config -c 'source {}; complete -C \"{}\" | string split -f1 \\t'", (scripts / "fish").string(), line)))
      words.insert(word);
    return words;
  };
  for (const Command& c : commands()) {
    INFO(c.path);
    Set long_ones;
    for (const std::string& option : c.options)
      if (option.starts_with("--")) long_ones.insert(option);
    CHECK(offered(c.path + " --") == long_ones);
    if (!c.commands.empty()) CHECK(offered(c.path + " ") == c.commands);
  }
  CHECK(offered("kappa generate --precision ") == Set{"float32", "bfloat16", "float64"});
}

TEST_CASE("completion: zsh knows every command and option") {
  const Scripts scripts;
  const std::string script = scripts.read("zsh");
  for (const Command& c : commands()) {
    INFO(c.path);
    const size_t begin = script.find(fmt::format("  ('{}') _arguments", c.path));
    REQUIRE(begin != std::string::npos);
    const std::string block = script.substr(begin, script.find(";;", begin) - begin);
    for (const std::string& option : c.options) CHECK_THAT(block, contains("'*" + option + "["));
    for (const std::string& command : c.commands) CHECK_THAT(block, contains(command + "\\:"));
  }
  if (!there_is("zsh")) return skip("zsh is not installed: its script was read, not run");
  // What zsh's own _arguments does with "*:word:((name\\:help …))": it evaluates the list.
  scripts.write("offer",
                fmt::format("CURRENT=$#words\n_arguments() {{\n  local list=${{@[-1]}}\n  [[ $list == *'(('* ]] || return\n"
                            "  eval \"ws=( ${{${{list#*\\(\\(}}%\\)\\)}} )\" || exit 1\n  print -l ${{ws%%:*}}\n}}\nsource {}\n",
                            (scripts / "zsh").string()));
  for (const Command& c : commands())
    if (!c.commands.empty())
      CHECK(printed(fmt::format("zsh -f -c 'words=({} \"\"); source {}'", c.path, (scripts / "offer").string())) == c.commands);
}

TEST_CASE("completion: shells that there are not") {
  const Shell shell;
  shell.check_refused({"completion"}, {"SHELL"});
  shell.check_refused({"completion", "tcsh"}, {"tcsh"});
}
