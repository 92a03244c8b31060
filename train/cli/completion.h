#pragma once
// The program's words, and how bash, zsh and fish are told about them. They are read off the command line's own description
// (completion_command.cpp), so that they are never others than those that it takes.

#include <string>
#include <string_view>
#include <vector>

namespace kappa {

struct OptionWords {
  enum class Value : uint8_t { none, choice, file, other };  // other: a number or a text
  std::vector<std::string> names;                            // "--out", "-o"
  std::string help;
  Value value = Value::none;
  std::vector<std::string> choices;
};

struct CommandWords {
  std::string path;  // "kappa data cat"
  std::string help;
  std::vector<OptionWords> options;
  std::vector<std::string> arguments;                         // what may stand without an option; nothing: file names
  std::vector<std::pair<std::string, std::string>> commands;  // below this one: name and help
};

/// The script for a shell: "bash", "zsh" or "fish".
std::string completion_script(std::string_view shell, const std::vector<CommandWords>& commands);

}  // namespace kappa
