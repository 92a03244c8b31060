#include "data/json_lines.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

using Json = nlohmann::json;

/// Takes one member of the outermost object out of a line's JSON; nothing else is kept.
class MemberFinder : public nlohmann::json_sax<Json> {
 public:
  MemberFinder(const std::string& field, std::string& text) : field_(field), text_(text) {}

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("boolean"); }
  bool number_integer(number_integer_t) override { return value("number"); }
  bool number_unsigned(number_unsigned_t) override { return value("number"); }
  bool number_float(number_float_t, const string_t&) override { return value("number"); }
  bool binary(binary_t&) override { return value("binary"); }
  bool string(string_t& bytes) override {
    value("string");
    if (found_type_ == std::string_view("string") && is_member_) text_ = std::move(bytes);
    return true;
  }
  bool start_object(size_t) override {
    value("object");
    ++depth_;
    return true;
  }
  bool start_array(size_t) override {
    value("array");
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) is_next_ = name == field_;
    return true;
  }
  bool end_object() override { return --depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(size_t, const std::string&, const Json::exception& error) override {
    throw InputError(fmt::format("not JSON: {}", json_complaint(error)));
  }

  /// Throws InputError unless the line was an object with the member, a string.
  void check() const {
    require(outermost_ == "object", "expected a JSON object, found {}", outermost_);
    require(!found_type_.empty(), "the key {} is missing", printable(field_));
    require(found_type_ == "string", "{}: expected a string, found {}", printable(field_), found_type_);
  }

 private:
  bool value(const char* type) {
    if (depth_ == 0) outermost_ = type;
    is_member_ = depth_ == 1 && is_next_;
    if (is_member_) found_type_ = type;
    is_next_ = false;
    return true;
  }

  const std::string& field_;
  std::string& text_;
  std::string_view outermost_, found_type_;
  int64_t depth_ = 0;
  bool is_next_ = false, is_member_ = false;  // whether the value after a key is the member; whether the current one is
};

/// As Python's json reads and tiktoken then encodes them: a UTF-16 surrogate without its partner is U+FFFD. `line` with such
/// escapes replaced, and how many there were.
std::pair<std::string, int64_t> repair_surrogates(std::string_view line) {
  const auto unit_at = [&](size_t at) -> int {  // of the escape \u and four digits at `at`, or −1
    int unit = -1;
    if (at + 6 > line.size() || line.substr(at, 2) != "\\u") return -1;
    const char* const end = line.data() + at + 6;
    return std::from_chars(end - 4, end, unit, 16).ptr == end ? unit : -1;
  };
  std::string repaired;
  int64_t count = 0;
  for (size_t at = 0; at < line.size();) {
    const int unit = unit_at(at), next = unit >> 10 == 0x36 ? unit_at(at + 6) : -1;  // 0x36: high ones, 0x37: low ones
    const size_t length = line[at] != '\\' ? 1 : unit < 0 ? 2 : next >> 10 == 0x37 ? 12 : 6;
    const bool lone = unit >> 11 == 0x1B && length == 6;
    repaired += lone ? "\\ufffd" : line.substr(at, length);
    count += lone;
    at += length;
  }
  return {repaired, count};
}

}  // namespace

std::string json_complaint(const std::exception& error) {
  std::string_view said = error.what();
  if (const size_t tag = said.find("] "); said.starts_with('[') && tag != said.npos) said.remove_prefix(tag + 2);
  if (constexpr std::string_view where = "parse error at line 1, "; said.starts_with(where)) said.remove_prefix(where.size());
  return printable(said);
}

/// The next line that is not blank.
bool JsonLines::next_line(std::string_view& line) {
  try {
    do {
      if (counts_.damaged_files > 0 || !lines_.next(line)) return false;
    } while (line.find_first_not_of(" \t\r") == std::string_view::npos);
    ++number_;
    return true;
  } catch (const InputError&) {
    if (!options_.skip_damaged) throw;
    counts_.damaged_files = 1;
    return false;
  }
}

bool JsonLines::next(std::string& text) {
  for (std::string_view line; next_line(line);) {
    try {
      std::pair<std::string, int64_t> repaired;
      if (line.find("\\ud") != line.npos || line.find("\\uD") != line.npos) line = (repaired = repair_surrogates(line)).first;
      MemberFinder finder(options_.field, text);
      Json::sax_parse(line, &finder);
      finder.check();
      counts_.replacements += repaired.second;
      return true;
    } catch (const InputError& error) {
      if (!options_.skip_damaged) throw InputError(fmt::format("{}:{}: {}", lines_.name(), lines_.number(), error.what()));
      ++counts_.damaged;
    }
  }
  return false;
}

bool JsonLines::skip() {
  if (options_.skip_damaged) return DocumentReader::skip();  // a line that cannot be read is no document
  std::string_view line;
  return next_line(line);
}

}  // namespace kappa
