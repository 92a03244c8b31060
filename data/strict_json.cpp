#include "data/strict_json.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "data/json_lines.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {

Json parse_object(const std::string& text, const std::string& file) {
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto refuse_twins = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto [key, is_new] = keys.back().insert(value.get<std::string>());
      require(is_new, "{}: the key {} is there twice", file, printable(*key));
    }
    return true;
  };
  try {
    Json object = Json::parse(text, refuse_twins);
    require(object.is_object(), "{}: expected a JSON object, found {}", file, shown(object));
    return object;
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: not JSON: {}", file, json_complaint(error)));
  }
}

void expect_keys(const std::string& file, const Json& object, std::initializer_list<std::string_view> known) {
  require(object.is_object(), "{}: expected a JSON object, found {}", file, shown(object));
  for (const auto& [key, value] : object.items())
    require(std::ranges::count(known, key) > 0, "{}: expected the keys {}, found {} too", file, fmt::join(known, ", "),
            printable(key));
}

std::string shown(const Json& value) { return value.is_primitive() ? printable(value.dump()) : value.type_name(); }

const Json& part(const std::string& file, const Json& object, const char* key) {
  const auto found = object.find(key);
  require(found != object.end(), "{}: {} is missing", file, key);
  return *found;
}

template <>
std::string member<std::string>(const std::string& file, const Json& object, const char* key) {
  const Json& value = part(file, object, key);
  require(value.is_string(), "{}: {}: expected a string, found {}", file, key, shown(value));
  return value.get<std::string>();
}

template <>
int64_t member<int64_t>(const std::string& file, const Json& object, const char* key) {
  const Json& value = part(file, object, key);
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() >> 63 == 0);
  require(fits, "{}: {}: expected an integer, found {}", file, key, shown(value));
  return value.get<int64_t>();
}

template <>
uint64_t member<uint64_t>(const std::string& file, const Json& object, const char* key) {
  const Json& value = part(file, object, key);
  require(value.is_number_unsigned(), "{}: {}: expected an integer of at least 0, found {}", file, key, shown(value));
  return value.get<uint64_t>();
}

template <>
double member<double>(const std::string& file, const Json& object, const char* key) {
  const Json& value = part(file, object, key);
  require(value.is_number(), "{}: {}: expected a number, found {}", file, key, shown(value));
  return value.get<double>();
}

}  // namespace kappa
