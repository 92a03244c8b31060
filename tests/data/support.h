#pragma once
// What the tests of data share.

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/skip.h"
#include "tests/support/temp_folder.h"

namespace kappa::test {

struct TextFolder : TempFolder {
  /// Writes a file in it and returns its path.
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
    return *this / name;
  }
};

inline nlohmann::json fixture(const std::string& name) {
  return nlohmann::json::parse(read_file(source_dir() / "tests/data/fixtures" / name));
}

inline int64_t random_below(std::mt19937_64& random, int64_t n) { return int64_t(random() % uint64_t(n)); }

/// Code points as UTF-8, written down from the definition.
inline std::string utf8(char32_t c) {
  const auto tail = [&](int shift) { return char(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {char(c)};
  if (c < 0x800) return {char(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {char(0xE0 | c >> 12), tail(6), tail(0)};
  return {char(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

inline std::string utf8(const std::u32string& text) {
  std::string bytes;
  for (char32_t c : text) bytes += utf8(c);
  return bytes;
}

/// What is said against it when `action` is refused; "" if it is not.
template <class Action>
std::string complaint(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace kappa::test
