#include "data/tokenizer/base64.h"

#include <array>
#include <cstdint>

namespace kappa {

static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const auto byte = [&](size_t i) { return at + i < bytes.size() ? uint32_t(uint8_t(bytes[at + i])) : 0u; };
    const uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (int digit = 0; digit < 4; ++digit) text += alphabet[group >> (18 - 6 * digit) & 63];
  }
  const size_t padding = (3 - bytes.size() % 3) % 3;
  return text.replace(text.size() - padding, padding, padding, '=');
}

std::optional<std::string> base64_decode(std::string_view text) {
  static constexpr auto values = [] {
    std::array<int, 256> table{};
    table.fill(-1);
    for (size_t i = 0; i < alphabet.size(); ++i) table[uint8_t(alphabet[i])] = int(i);
    return table;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::string_view digits = text.substr(0, text.size() - padding);
  std::string bytes;
  uint32_t bits = 0;  // the low `held` ones are not written yet
  int held = 0;
  for (char digit : digits) {
    const int value = values[uint8_t(digit)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | uint32_t(value);
    held += 6;
    if (held >= 8) bytes += char(bits >> (held -= 8) & 0xFF);
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace kappa
