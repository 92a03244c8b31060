#include "engine/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

/// Turns the parser's events into entries. It stops at the first thing that does not belong, so nesting never gets deep.
class Reader : public YAML::EventHandler {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  std::vector<ConfigEntry> entries;

  void OnDocumentStart(const YAML::Mark& mark) override {
    require(documents_++ == 0, "{}:{}: expected one YAML document, found a second", file_, mark.line + 1);
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "an alias"); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (level_ == 0) return;  // a document of nothing
    if (!key_ || list_) refuse(mark, "nothing");
    finish({.kind = ConfigValue::Kind::nothing});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    if (level_ == 0) refuse(mark, fmt::format("\"{}\"", printable(text)));
    check_tag(mark, tag);
    if (list_) {
      list_->items.push_back(text);
    } else if (key_) {
      finish({.kind = ConfigValue::Kind::text, .text = text, .quoted = tag == "!"});
    } else {
      require(text.find('.') == std::string::npos, "{}:{}: {}: expected a key without a dot", file_, mark.line + 1,
              printable(text));
      key_ = section_ + text;
      line_ = mark.line + 1;
      require(seen_.insert(*key_).second, "{}:{}: {}: expected each key once, found it twice", file_, line_, printable(*key_));
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    if (!key_ || list_) refuse(mark, "a list");
    list_ = ConfigValue{.kind = ConfigValue::Kind::list};
  }
  void OnSequenceEnd() override {
    ConfigValue list = std::move(*list_);
    list_.reset();
    finish(std::move(list));
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    if (level_ == 1 && key_ && !list_) {
      section_ = *key_ + ".";
      finish({.kind = ConfigValue::Kind::keys});
    } else if (level_ != 0) {
      refuse(mark, "further keys");
    }
    ++level_;
  }
  void OnMapEnd() override {
    section_.clear();
    --level_;
  }

 private:
  void finish(ConfigValue value) {
    entries.push_back({std::move(*key_), std::move(value), line_});
    key_.reset();
  }

  /// The parser's own are "?" of what is plain and "!" of what is quoted; others would ask for types that no key has.
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "a tag");
  }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& found) const {
    const std::string where = fmt::format("{}:{}", file_, mark.line + 1);
    if (level_ == 0) throw InputError(fmt::format("{}: expected sections of keys, found {}", where, found));
    if (!key_) throw InputError(fmt::format("{}: expected a key, found {}", where, found));
    throw InputError(fmt::format("{}: {}: expected a value, found {}", where, printable(*key_), found));
  }

  const std::string& file_;
  int documents_ = 0, level_ = 0, line_ = 0;
  std::string section_;             // with its dot
  std::optional<std::string> key_;  // whose value comes next
  std::optional<ConfigValue> list_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<ConfigEntry> parse_yaml(std::string_view yaml, const std::string& file) {
  // The end of the document is made visible, because the parser forgives quotes that are still open where the text ends.
  std::istringstream in(std::string(yaml) + "\n...\n");
  Reader reader(file);
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(reader)) {
    }
  } catch (const YAML::Exception& e) {
    throw InputError(fmt::format("{}:{}: expected YAML, found: {}", file, e.mark.line + 1, printable(e.msg)));
  }
  return std::move(reader.entries);
}

std::string yaml_text(std::string_view text) {
  const auto harmless = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '/' || c == '.' || c == '-'; };
  const bool word = !text.empty() && std::ranges::all_of(text, harmless) && (std::isalpha(text[0]) || text[0] == '/');
  static const std::set<std::string_view> special{"true", "false", "null", "Null", "NULL", "True", "False", "TRUE", "FALSE",
                                                  "yes",  "no",    "on",   "off",  "Yes",  "No",   "On",    "Off",  "YES",
                                                  "NO",   "ON",    "OFF",  "y",    "n",    "Y",    "N",     "auto"};
  if (word && !special.contains(text)) return std::string(text);
  std::string quoted = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      quoted += '\\', quoted += char(c);
    else if (c < 0x20 || c == 0x7f)
      quoted += fmt::format("\\x{:02x}", c);
    else
      quoted += char(c);
  }
  return quoted + '"';
}

}  // namespace kappa
