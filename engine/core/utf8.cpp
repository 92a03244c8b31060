#include "engine/core/utf8.h"

#include <cstring>

namespace kappa {
namespace {

/// What may follow a lead byte: how many bytes, and the range of the first of them; the others are 80..BF.
struct Continuation {
  int count;
  uint8_t low, high;
};

Continuation continuation_of(uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};  // no longer form than needed
  if (lead == 0xED) return {2, 0x80, 0x9F};  // no surrogates
  if (lead >= 0xE1 && lead <= 0xEF) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};  // nothing beyond U+10FFFF
  return {0, 0, 0};
}

}  // namespace

Utf8Char detail::multibyte_char(std::string_view text, size_t at) {
  const auto lead = uint8_t(text[at]);
  auto [count, low, high] = continuation_of(lead);
  if (count == 0) return {replacement_character, 1, false};
  char32_t code = lead & (0x3F >> count);
  for (int k = 1; k <= count; ++k, low = 0x80, high = 0xBF) {
    const uint8_t byte = at + size_t(k) < text.size() ? uint8_t(text[at + size_t(k)]) : 0;
    if (byte < low || byte > high) return {replacement_character, k, false};
    code = code << 6 | (byte & 0x3F);
  }
  return {code, count + 1, true};
}

/// Where what is ill-formed begins, from text[at] on; text.size() if all of it is well-formed.
static size_t well_formed_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) std::memcpy(&eight, text.data() + at, sizeof eight);
    if (text.size() - at >= sizeof eight && (eight & 0x8080808080808080u) == 0) {
      at += sizeof eight;
      continue;
    }
    const Utf8Char c = utf8_char(text, at);
    if (!c.valid) break;
    at += size_t(c.length);
  }
  return at;
}

bool is_utf8(std::string_view text) { return well_formed_end(text, 0) == text.size(); }

RepairedText repair_utf8(std::string bytes) {
  size_t end = well_formed_end(bytes, 0);
  if (end == bytes.size()) return {.text = std::move(bytes)};
  RepairedText repaired;
  for (size_t at = 0;; end = well_formed_end(bytes, at)) {
    repaired.text.append(bytes, at, end - at);
    if (end == bytes.size()) return repaired;
    repaired.text += "\uFFFD";
    ++repaired.replacements;
    at = end + size_t(utf8_char(bytes, end).length);
  }
}

}  // namespace kappa
