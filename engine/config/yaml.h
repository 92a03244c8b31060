#pragma once
// The part of YAML that a configuration needs: sections of keys, each with a text or a list of texts. Everything else is refused
// with its line: deeper nesting, anchors' aliases, tags, several documents, a key given twice. So nothing a file says can grow
// beyond its size.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

constexpr int64_t config_size_limit = 1 << 18;  // bytes of a configuration file

struct ConfigValue {
  enum class Kind { nothing, text, list, keys };  // `keys`: a section begins
  Kind kind = Kind::nothing;
  std::string text = {};
  bool quoted = false;                  // of a text: it stood in quotes, so it is no number
  std::vector<std::string> items = {};  // of a list
};

struct ConfigEntry {
  std::string key;  // "model.n_layer"; "device" outside of any section
  ConfigValue value;
  int line;  // from 1
};

/// The entries in the order of the file. Throws InputError naming `file`, the line and the key.
std::vector<ConfigEntry> parse_yaml(std::string_view yaml, const std::string& file);

/// A text as YAML writes it: plain where nobody can take it for something else, otherwise in quotes.
std::string yaml_text(std::string_view text);

}  // namespace kappa
