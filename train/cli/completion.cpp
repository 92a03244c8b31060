#include "train/cli/completion.h"

#include <fmt/format.h>

namespace kappa {
namespace {

using Value = OptionWords::Value;

/// A word of a shell, whatever it holds: in single quotes, where a quote is said as `quote`.
std::string quoted(std::string_view text, std::string_view quote) {
  std::string word = "'";
  for (char c : text)
    if (c == '\'')
      word += quote;
    else
      word += c;
  return word + "'";
}
std::string quoted(std::string_view text) { return quoted(text, R"('\'')"); }

/// The paths of all commands below the first, as the alternatives of a `case` or as words.
std::string paths_below(const std::vector<CommandWords>& commands, const char* separator) {
  std::string list;
  for (const CommandWords& c : commands)
    if (&c != &commands.front()) list += fmt::format("{}'{}'", list.empty() ? "" : separator, c.path);
  return list;
}

/// What may come next where no option's value is due.
std::string words_of(const CommandWords& c) {
  std::vector<std::string> words = c.arguments;
  for (const auto& [name, help] : c.commands) words.push_back(name);
  for (const OptionWords& o : c.options) words.insert(words.end(), o.names.begin(), o.names.end());
  return fmt::format("{}", fmt::join(words, " "));
}

std::string bash(const std::vector<CommandWords>& commands) {
  std::string script =
      "# bash completion for kappa; `kappa completion bash` writes it\n"
      "_kappa() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at=kappa word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$at $word\" in\n"
      "      " +
      paths_below(commands, " | ") +
      ") at=\"$at $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  COMPREPLY=()\n"
      "  case \"$at $previous\" in\n";
  for (const CommandWords& c : commands)
    for (const OptionWords& o : c.options) {
      if (o.value == Value::none) continue;
      script += "    ";
      for (const std::string& name : o.names)
        script += fmt::format("{}'{} {}'", name == o.names.front() ? "" : " | ", c.path, name);
      script +=
          o.value == Value::file ? ") compopt -o default; return ;;\n"
          : o.value == Value::other
              ? ") return ;;\n"
              : fmt::format(
                    ") COMPREPLY=($(compgen -W {} -- \"$current\")); [[ $COMPREPLY == *= ]] && compopt -o nospace; return ;;\n",
                    quoted(fmt::format("{}", fmt::join(o.choices, " "))));
    }
  script += "  esac\n  case \"$at\" in\n";
  for (const CommandWords& c : commands)
    script += fmt::format(
        "    '{}') COMPREPLY=($(compgen -W {} -- \"$current\")){} ;;\n", c.path, quoted(words_of(c)),
        c.commands.empty() && c.arguments.empty() ? "; [[ $current != -* ]] && COMPREPLY=() && compopt -o default" : "");
  return script + "  esac\n}\ncomplete -F _kappa kappa\n";
}

/// Of _arguments, where brackets and colons have a meaning.
std::string zsh_text(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string zsh(const std::vector<CommandWords>& commands) {
  std::string script =
      "#compdef kappa\n"
      "# zsh completion for kappa; `kappa completion zsh` writes it\n"
      "local at=kappa word\n"
      "for word in ${words[2,CURRENT-1]}; do\n"
      "  case \"$at $word\" in\n"
      "    (" +
      paths_below(commands, " | ") +
      ") at=\"$at $word\" ;;\n"
      "  esac\n"
      "done\n"
      "case \"$at\" in\n";
  for (const CommandWords& c : commands) {
    script += fmt::format("  ('{}') _arguments", c.path);
    for (const OptionWords& o : c.options)
      for (const std::string& name : o.names) {
        std::string spec = fmt::format("*{}[{}]", name, zsh_text(o.help));
        if (o.value == Value::file) spec += ":file:_files";
        if (o.value == Value::other) spec += ":value: ";
        if (o.value == Value::choice) {
          const std::string list = fmt::format("{}", fmt::join(o.choices, " "));
          spec += o.choices.front().ends_with('=') ? ":value:{compadd -S \"\" -- " + list + "}" : ":value:(" + list + ")";
        }
        script += " \\\n    " + quoted(spec);
      }
    std::string rest = "_files";
    if (!c.arguments.empty()) rest = fmt::format("({})", fmt::join(c.arguments, " "));
    if (!c.commands.empty()) {
      rest = "((";
      for (const auto& [name, help] : c.commands) rest += fmt::format("{}\\:{} ", name, quoted(zsh_text(help), R"('"'"')"));
      rest += "))";
    }
    script += " \\\n    " + quoted("*:word:" + rest) + " ;;\n";
  }
  return script + "esac\n";
}

std::string fish_text(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '\\') escaped += '\\';
    escaped += c;
  }
  return quoted(escaped, "\\'");
}

std::string fish(const std::vector<CommandWords>& commands) {
  std::string script =
      "# fish completion for kappa; `kappa completion fish` writes it\n"
      "function __kappa_at\n"
      "    set -l words (commandline -opc)\n"
      "    set -l at kappa\n"
      "    for word in $words[2..-1]\n"
      "        if contains -- \"$at $word\" " +
      paths_below(commands, " ") +
      "\n"
      "            set at \"$at $word\"\n"
      "        end\n"
      "    end\n"
      "    test \"$at\" = \"$argv\"\n"
      "end\n";
  for (const CommandWords& c : commands) {
    const std::string where = fmt::format("complete -c kappa -n '__kappa_at {}'", c.path);
    for (const auto& [name, help] : c.commands) script += fmt::format("{} -f -a {} -d {}\n", where, name, fish_text(help));
    if (!c.arguments.empty()) script += fmt::format("{} -f -a '{}'\n", where, fmt::join(c.arguments, " "));
    for (const OptionWords& o : c.options) {
      script += where;
      for (const std::string& name : o.names)
        script += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (o.value == Value::file) script += " -r -F";
      if (o.value == Value::other) script += " -x";
      if (o.value == Value::choice) script += fmt::format(" -x -a '{}'", fmt::join(o.choices, " "));
      script += fmt::format(" -d {}\n", fish_text(o.help));
    }
  }
  return script;
}

}  // namespace

std::string completion_script(std::string_view shell, const std::vector<CommandWords>& commands) {
  return shell == "bash" ? bash(commands) : shell == "zsh" ? zsh(commands) : fish(commands);
}

}  // namespace kappa
