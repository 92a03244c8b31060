#pragma once
// UTF-8. What is ill-formed is read as Python reads it with errors="replace": every maximal subpart of an ill-formed sequence
// (Unicode 17.0 §3.9, table 3-7) counts as one U+FFFD.

#include <cstdint>
#include <string>
#include <string_view>

namespace kappa {

inline constexpr char32_t replacement_character = 0xFFFD;

struct Utf8Char {
  char32_t code;  // U+FFFD where ill-formed
  int length;     // bytes, at least 1
  bool valid;
};

namespace detail {
Utf8Char multibyte_char(std::string_view text, size_t at);
}

/// The character that starts at text[at]; at < text.size().
inline Utf8Char utf8_char(std::string_view text, size_t at) {
  const auto byte = uint8_t(text[at]);
  return byte < 0x80 ? Utf8Char{byte, 1, true} : detail::multibyte_char(text, at);
}

/// Whether all of `text` is well-formed.
bool is_utf8(std::string_view text);

struct RepairedText {
  std::string text;          // well-formed
  int64_t replacements = 0;  // how many U+FFFD were put in
};

/// `bytes` with every ill-formed part replaced by U+FFFD.
RepairedText repair_utf8(std::string bytes);

}  // namespace kappa
