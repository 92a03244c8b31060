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

struct RepairedText {
  std::string text;          // well-formed
  int64_t replacements = 0;  // how many U+FFFD were put in
};

/// `bytes` with every ill-formed part replaced by U+FFFD.
RepairedText repair_utf8(std::string bytes);

/// How many bytes at the end of `bytes`, at most 3, begin a character that the next bytes may complete.
size_t unfinished_utf8(std::string_view bytes);

/// Text that comes in pieces which may end inside of a character, as those of tokens do.
class Utf8Stream {
 public:
  /// What can be said now: well-formed, with U+FFFD where the bytes are not. An unfinished character waits for the next piece.
  std::string add(std::string_view bytes);
  /// What is left: U+FFFD for a character that was never finished.
  std::string finish();

 private:
  std::string waiting_;
};

}  // namespace kappa
