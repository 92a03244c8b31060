#include "engine/config/schema.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>

#include "engine/core/text.h"
#include "engine/core/within.h"

namespace kappa {
namespace {

/// Whether it is an integer, but a larger one than any key takes (Interval).
bool is_beyond_integers(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool too_large = error == std::errc::result_out_of_range || std::abs(value) > int64_t{1} << 53;
  return too_large && end == text.data() + text.size();
}

std::string found(const ConfigValue& value) {
  switch (value.kind) {
    case ConfigValue::Kind::nothing:
      return "nothing";
    case ConfigValue::Kind::list:
      return "a list";
    case ConfigValue::Kind::keys:
      return "keys";
    case ConfigValue::Kind::text:
      break;
  }
  return fmt::format("{}\"{}\"{}", value.quoted ? "the text " : "", printable(value.text),
                     is_beyond_integers(value.text) ? ", beyond 2^53" : "");
}

std::string_view section_of(std::string_view key) {
  const size_t dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

std::string_view name_within(std::string_view key) { return key.substr(key.find('.') + 1); }

/// How many letters must be put in, taken out or exchanged to get from one word to the other (Levenshtein).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t exchanged = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, exchanged});
    }
  }
  return row[b.size()];
}

}  // namespace

Schema::Section Schema::section(const std::string& name, const std::string& help) {
  headings_.push_back({name, help, keys_.size()});
  return {*this, name.empty() ? "" : name + "."};
}

const Schema::Key& Schema::find(const std::string& key) const {
  const auto at = std::ranges::find(keys_, key, &Key::name);
  if (at == keys_.end()) throw std::logic_error("no key " + key);
  return *at;
}

bool Schema::knows_section(std::string_view name) const {
  return !name.empty() && std::ranges::find(headings_, name, &Heading::name) != headings_.end();
}

void Schema::read(std::string_view yaml, const std::string& file) {
  for (const ConfigEntry& entry : parse_yaml(yaml, file)) assign(entry.key, entry.value, fmt::format("{}:{}", file, entry.line));
}

void Schema::read_own_sections(std::string_view yaml, const std::string& file) {
  bool any = false;
  for (const ConfigEntry& entry : parse_yaml(yaml, file)) {
    if (!knows_section(section_of(entry.key)) && !knows_section(entry.key)) continue;
    assign(entry.key, entry.value, fmt::format("{}:{}", file, entry.line));
    any = true;
  }
  kappa::require(any, "{}: expected a section {}, found none", file, headings_.front().name);
}

void Schema::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  kappa::require(equals != std::string_view::npos, "--set {}: expected KEY=VALUE", printable(assignment));
  const std::string key(assignment.substr(0, equals)), text(assignment.substr(equals + 1));
  ConfigValue value{.kind = ConfigValue::Kind::text, .text = text};
  if (text.starts_with('[')) value = parse_yaml("list: " + text, "--set " + printable(key)).front().value;
  assign(key, value, "--set");
}

void Schema::assign(const std::string& key, const ConfigValue& value, const std::string& place) {
  if (knows_section(key)) {
    const bool begins = value.kind == ConfigValue::Kind::keys || value.kind == ConfigValue::Kind::nothing;
    kappa::require(begins, "{}: {}: expected keys below it, found {}", place, key, found(value));
    return;
  }
  const auto at = std::ranges::find(keys_, key, &Key::name);
  if (at == keys_.end()) throw InputError(fmt::format("{}: {}: unknown key{}", place, printable(key), suggestion(key)));
  const bool taken = within(fmt::format("{}: {}", place, key), [&] { return at->assign(value); });
  kappa::require(taken, "{}: {}: expected {}, found {}", place, key, at->expected, found(value));
  at->place = place;
}

/// " (did you mean n_head?)", if some known name is near enough. The right name in the wrong section counts as one wrong letter.
std::string Schema::suggestion(std::string_view key) const {
  const std::string_view name = name_within(key);
  if (name.size() > 64) return "";
  std::vector<std::string> known;
  for (const Key& k : keys_) known.push_back(k.name);
  for (const Heading& h : headings_)
    if (!h.name.empty()) known.push_back(h.name);
  const auto distance = [&](const std::string& other) {
    return edit_distance(name, name_within(other)) + (section_of(key) != section_of(other));
  };
  const std::string& best = *std::ranges::min_element(known, {}, distance);
  if (distance(best) > std::max<size_t>(2, name.size() / 3)) return "";
  return fmt::format(" (did you mean {}?)", section_of(key) == section_of(best) ? name_within(best) : best);
}

std::string Schema::citation(const std::vector<std::string>& keys) const {
  const auto leading = std::ranges::find_if(keys, [&](const std::string& key) { return given(key); });
  std::string text = leading == keys.end() ? "" : find(*leading).place + ": ";
  for (auto key = keys.begin(); key != keys.end(); ++key) {
    text += fmt::format("{}{} = {}", key == keys.begin() ? "" : ", ", *key, find(*key).text());
    if (leading != keys.end() && key != leading) text += fmt::format(" ({})", given(*key) ? find(*key).place : "default");
  }
  return text;
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  for (const Key& key : keys_) names.push_back(key.name);
  return names;
}

std::string Schema::yaml() const { return render(false); }
std::string Schema::reference() const { return render(true); }

std::string Schema::render(bool with_help) const {
  constexpr size_t help_column = 46;
  std::string text;
  for (size_t h = 0; h < headings_.size(); ++h) {
    const Heading& heading = headings_[h];
    if (with_help) text += fmt::format("{}# {}\n", h == 0 ? "" : "\n", heading.help);
    if (!heading.name.empty()) text += heading.name + ":\n";
    const size_t end = h + 1 < headings_.size() ? headings_[h + 1].first_key : keys_.size();
    for (size_t k = heading.first_key; k < end; ++k) {
      const std::string line =
          fmt::format("{}{}: {}", heading.name.empty() ? "" : "  ", name_within(keys_[k].name), keys_[k].text());
      text += with_help ? fmt::format("{:{}}  # {}\n", line, help_column, keys_[k].help) : line + "\n";
    }
  }
  return text;
}

std::vector<Difference> differences(const Schema& left, const Schema& right) {
  std::vector<Difference> found_ones;
  for (const Schema::Key& key : left.keys_) {
    const std::string a = key.text(), b = right.find(key.name).text();
    if (a != b) found_ones.push_back({key.name, a, b});
  }
  return found_ones;
}

}  // namespace kappa
