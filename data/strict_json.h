#pragma once
// JSON of tokenizers and of states, read strictly: whatever is not as expected is an InputError that names the file and the key.

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace kappa {

using Json = nlohmann::json;

/// Throws InputError that begins with `file` unless `text` is one JSON object in which no object has a key twice.
Json parse_object(const std::string& text, const std::string& file);

/// A value for an error message; never a whole tree.
std::string shown(const Json& value);

/// Throws InputError unless `object` is one and has no other keys than these.
void expect_keys(const std::string& file, const Json& object, std::initializer_list<std::string_view> known);

/// A member of an object, which must be there; of the type std::string, int64_t, uint64_t or double.
const Json& part(const std::string& file, const Json& object, const char* key);
template <class Value>
Value member(const std::string& file, const Json& object, const char* key);

}  // namespace kappa
