#include "data/utf8.h"

#include <algorithm>
#include <utility>

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

RepairedText repair_utf8(std::string bytes) {
  RepairedText repaired;
  size_t copied = 0;  // bytes before it are in repaired.text
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = utf8_char(bytes, at);
    if (!c.valid) {
      repaired.text.append(bytes, copied, at - copied).append("\xEF\xBF\xBD");
      copied = at + size_t(c.length);
      ++repaired.replacements;
    }
    at += size_t(c.length);
  }
  if (repaired.replacements == 0)
    repaired.text = std::move(bytes);
  else
    repaired.text.append(bytes, copied);
  return repaired;
}

size_t unfinished_utf8(std::string_view bytes) {
  for (size_t count = 1; count <= std::min<size_t>(3, bytes.size()); ++count) {
    const size_t at = bytes.size() - count;
    if ((uint8_t(bytes[at]) & 0xC0) == 0x80) continue;  // not the first byte of a character
    const Utf8Char last = utf8_char(bytes, at);
    const bool may_go_on = !last.valid && continuation_of(uint8_t(bytes[at])).count > 0 && size_t(last.length) == count;
    return may_go_on ? count : 0;
  }
  return 0;
}

std::string Utf8Stream::add(std::string_view bytes) {
  waiting_ += bytes;
  const size_t whole = waiting_.size() - unfinished_utf8(waiting_);
  std::string text = repair_utf8(waiting_.substr(0, whole)).text;
  waiting_.erase(0, whole);
  return text;
}

std::string Utf8Stream::finish() { return repair_utf8(std::exchange(waiting_, {})).text; }

}  // namespace kappa
