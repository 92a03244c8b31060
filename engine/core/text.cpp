#include "engine/core/text.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/core/utf8.h"

namespace kappa {
namespace {

/// U+0080 to U+009F too: to some terminals U+009B is the beginning of a command.
bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

/// Appends the character at text[at], made harmless, and returns where the next one begins.
size_t append_harmless(std::string& line, std::string_view text, size_t at, std::string_view allowed) {
  const Utf8Char c = utf8_char(text, at);
  const std::string_view bytes = text.substr(at, size_t(c.length));
  if (!c.valid)
    line += "\uFFFD";
  else if (is_control(c.code) && allowed.find(bytes) == allowed.npos)
    line += '?';
  else
    line += bytes;
  return at + bytes.size();
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr size_t limit = 80;
  std::string line;
  for (size_t at = 0; at < text.size();) {
    if (at + size_t(utf8_char(text, at).length) > limit) return line + "…";
    at = append_harmless(line, text, at, "");
  }
  return line;
}

std::string for_terminal(std::string_view text) {
  std::string harmless;
  for (size_t at = 0; at < text.size();) at = append_harmless(harmless, text, at, "\n\t");
  return harmless;
}

std::string one_line(std::string_view text) {
  std::string line;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    const std::string_view bytes = text.substr(at, size_t(c.length));
    at += bytes.size();
    if (c.code == '\n' || c.code == '\t' || c.code == '\r')
      line += c.code == '\n' ? "\\n" : c.code == '\t' ? "\\t" : "\\r";
    else if (c.valid && !is_control(c.code))
      line += bytes;
    else
      for (const char byte : bytes) line += fmt::format("\\x{:02X}", uint8_t(byte));
  }
  return line;
}

std::string printable(double number) { return std::isnan(number) ? "nan" : fmt::format("{}", number); }

}  // namespace kappa
