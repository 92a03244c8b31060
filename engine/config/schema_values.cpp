// The kinds of values that a key can have: how each is read and written.

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "engine/config/schema.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

/// All of `text` as a number, or nothing; also nothing for what is not finite.
template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(double(value))) return {};
  return value;
}

std::string written(int64_t value) { return std::to_string(value); }

/// The shortest decimal that reads back as the same number, always with a point: older readers of YAML take 1e-05 for a text.
std::string written(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

template <class T>
bool assign_number(T& field, const Interval& range, const ConfigValue& value) {
  if (value.kind != ConfigValue::Kind::text || value.quoted) return false;
  const auto parsed = number<T>(value.text);
  if (!parsed || !range.contains(double(*parsed))) return false;
  if (std::is_same_v<T, int64_t> && std::abs(*parsed) > (int64_t{1} << 53)) return false;
  field = *parsed;
  return true;
}

}  // namespace

bool Interval::contains(double x) const {
  if (minus_one && x == -1) return true;
  return (above_low ? x > low : x >= low) && (below_high ? x < high : x <= high);
}

std::string Interval::words() const {
  std::string text;
  if (std::isfinite(low) && std::isfinite(high))
    text = fmt::format(" in {}{}, {}{}", above_low ? '(' : '[', low, high, below_high ? ')' : ']');
  else if (std::isfinite(low))
    text = fmt::format(" {} {}", above_low ? "above" : "of at least", low);
  return minus_one ? text + " or -1" : text;
}

void Schema::Section::add(const std::string& name, std::string help, std::string expected, std::function<std::string()> text,
                          std::function<bool(const ConfigValue&)> assign) {
  schema_.keys_.push_back({prefix_ + name, std::move(help), std::move(expected), std::move(text), std::move(assign)});
}

void Schema::Section::key(const std::string& name, int64_t& field, const std::string& help, Interval range) {
  add(
      name, help, "an integer" + range.words(), [&field] { return written(field); },
      [&field, range](const ConfigValue& value) { return assign_number(field, range, value); });
}

void Schema::Section::key(const std::string& name, double& field, const std::string& help, Interval range) {
  add(
      name, help, "a number" + range.words(), [&field] { return written(field); },
      [&field, range](const ConfigValue& value) { return assign_number(field, range, value); });
}

void Schema::Section::key(const std::string& name, Auto<int64_t>& field, const std::string& help, Interval range) {
  const auto assign = [&field, range](const ConfigValue& value) {
    if (value.kind == ConfigValue::Kind::text && !value.quoted && value.text == "auto") {
      field.reset();
      return true;
    }
    int64_t given = 0;
    if (!assign_number(given, range, value)) return false;
    field = given;
    return true;
  };
  add(
      name, help, "auto or an integer" + range.words(), [&field] { return field ? written(*field) : "auto"; }, assign);
}

void Schema::Section::key(const std::string& name, bool& field, const std::string& help) {
  const auto assign = [&field](const ConfigValue& value) {
    if (value.kind != ConfigValue::Kind::text || value.quoted || (value.text != "true" && value.text != "false")) return false;
    field = value.text == "true";
    return true;
  };
  add(
      name, help, "true or false", [&field] { return field ? "true" : "false"; }, assign);
}

void Schema::Section::key(const std::string& name, std::string& field, const std::string& help) {
  const auto assign = [&field](const ConfigValue& value) {
    if (value.kind != ConfigValue::Kind::text) return false;
    field = value.text;
    return true;
  };
  add(
      name, help, "a text", [&field] { return yaml_text(field); }, assign);
}

void Schema::Section::key(const std::string& name, std::vector<int64_t>& field, const std::string& help, Interval range) {
  const auto assign = [&field, range](const ConfigValue& value) {
    if (value.kind != ConfigValue::Kind::list) return false;
    std::vector<int64_t> numbers(value.items.size());
    for (size_t i = 0; i < numbers.size(); ++i)
      kappa::require(assign_number(numbers[i], range, {.kind = ConfigValue::Kind::text, .text = value.items[i]}),
                     "element {}: expected an integer{}, found \"{}\"", i + 1, range.words(), printable(value.items[i]));
    field = std::move(numbers);
    return true;
  };
  const auto text = [&field] { return fmt::format("[{}]", fmt::join(field, ", ")); };
  add(name, help, "a list [a, b, …] of integers" + range.words(), text, assign);
}

void Schema::Section::choice(const std::string& name, const std::vector<std::string>& names, const std::string& help,
                             std::function<size_t()> get, std::function<void(size_t)> put) {
  const std::string listed = fmt::format("{}", fmt::join(names, " | "));
  const auto assign = [names, put = std::move(put)](const ConfigValue& value) {
    const auto at = std::ranges::find(names, value.text);
    if (value.kind != ConfigValue::Kind::text || at == names.end()) return false;
    put(size_t(at - names.begin()));
    return true;
  };
  add(
      name, fmt::format("{} [{}]", help, listed), listed, [names, get = std::move(get)] { return names[get()]; }, assign);
}

}  // namespace kappa
