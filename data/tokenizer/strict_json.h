#pragma once
// JSON of tokenizer files, read strictly: whatever is not as expected is an InputError that names the file and the key.

#include <nlohmann/json.hpp>
#include <string>

namespace kappa {

using Json = nlohmann::json;

/// Throws InputError that begins with `file` unless `text` is one JSON object in which no object has a key twice.
Json parse_object(const std::string& text, const std::string& file);

/// A value for an error message; never a whole tree.
std::string shown(const Json& value);

/// A member of an object, which must be there; of the type std::string or int64_t.
const Json& part(const std::string& file, const Json& object, const char* key);
template <class Value>
Value member(const std::string& file, const Json& object, const char* key);

}  // namespace kappa
