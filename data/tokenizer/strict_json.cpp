#include "data/tokenizer/strict_json.h"

#include <unordered_set>

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
    require(object.is_object(), "{}: expected a JSON object", file);
    return object;
  } catch (const Json::exception& error) {  // also numbers that no double can be
    throw InputError(fmt::format("{}: not JSON: {}", file, printable(error.what())));
  }
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
  require(value.is_number_integer(), "{}: {}: expected an integer, found {}", file, key, shown(value));
  return value.get<int64_t>();
}

}  // namespace kappa
