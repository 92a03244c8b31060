#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "train/cli/commands.h"
#include "train/cli/completion.h"
#include "train/config.h"

namespace kappa {
namespace {

/// What an option is checked against, "TEXT:{float32,bfloat16}", as a list. Nothing if it is no list.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  std::vector<std::string> choices;
  if (open == std::string::npos || close == std::string::npos) return choices;
  for (size_t at = open + 1; at < close;) {
    const size_t end = std::min(type.find(',', at), close);
    choices.push_back(type.substr(at, end - at));
    at = end + 1;
  }
  return choices;
}

/// --set takes a key of the configuration and a value; of a model alone where the help says so.
std::vector<std::string> assignments(const std::string& help) {
  std::vector<std::string> all;
  for (const std::string& key : config_keys())
    if (!help.starts_with("model.") || key.starts_with("model.")) all.push_back(key + "=");
  return all;
}

OptionWords words_of(const CLI::Option& option) {
  OptionWords words;
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  words.help = option.get_description();
  words.choices = option.check_lname("set") ? assignments(words.help) : choices_of(option);
  if (option.get_items_expected_max() > 0)
    words.value = !words.choices.empty()                       ? OptionWords::Value::choice
                  : option.get_type_name().starts_with("TEXT") ? OptionWords::Value::file
                                                               : OptionWords::Value::other;
  return words;
}

void collect(const CLI::App& app, const std::string& path, std::vector<CommandWords>& all) {
  CommandWords command{.path = path, .help = app.get_description()};
  for (const CLI::Option* option : app.get_options())
    if (option->nonpositional())
      command.options.push_back(words_of(*option));
    else if (const auto choices = choices_of(*option); !choices.empty())
      command.arguments = choices;
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : below) command.commands.emplace_back(sub->get_name(), sub->get_description());
  all.push_back(std::move(command));
  for (const CLI::App* sub : below) collect(*sub, path + " " + sub->get_name(), all);
}

}  // namespace

void add_completion_command(CLI::App& app) {
  auto* const command = app.add_subcommand("completion", "Write the script that completes kappa's words in a shell");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "which")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "cmake --install puts the scripts where the shells look for them. Without it:\n"
      "  kappa completion bash > ~/.local/share/bash-completion/completions/kappa\n"
      "  kappa completion zsh > ~/.zfunc/_kappa                 with ~/.zfunc in $fpath before compinit\n"
      "  kappa completion fish > ~/.config/fish/completions/kappa.fish\n\n"
      "Example, for this shell alone:\n"
      "  source <(kappa completion bash)");
  command->callback([&app, shell] {
    std::vector<CommandWords> commands;
    collect(app, app.get_name(), commands);
    fmt::print("{}", completion_script(*shell, commands));
  });
}

}  // namespace kappa
