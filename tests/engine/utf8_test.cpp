#include "engine/core/utf8.h"

#include <set>

#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// All beginnings of all well-formed characters: the definition of a maximal subpart, taken at its word.
const std::set<std::string>& beginnings() {
  static const std::set<std::string> all = [] {
    std::set<std::string> found;
    for (char32_t c = 0; c < 0x110000; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      const std::string bytes = utf8(c);
      for (size_t n = bytes.size() - 1; n > 0 && found.insert(bytes.substr(0, n)).second; --n) {
      }
    }
    return found;
  }();
  return all;
}

std::string repair_slowly(const std::string& bytes, int64_t& replacements) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    size_t n = 1;
    while (at + n < bytes.size() && beginnings().contains(bytes.substr(at, n))) ++n;
    // bytes[at, at + n − 1) is a beginning; with the byte after it, a character, another beginning, or neither.
    const std::string part = bytes.substr(at, n);
    const bool is_ascii = n == 1 && uint8_t(part[0]) < 0x80;
    const bool is_character = n > 1 && !beginnings().contains(part) && uint8_t(part.back()) >= 0x80 && [&] {
      char32_t c = uint8_t(part[0]) & (0x7F >> n);
      for (size_t k = 1; k < n; ++k) c = c << 6 | (uint8_t(part[k]) & 0x3F);
      return c < 0x110000 && !(c >= 0xD800 && c < 0xE000) && utf8(c) == part;
    }();
    if (is_ascii || is_character) {
      text += part;
      at += n;
    } else {
      text += utf8(0xFFFD);
      ++replacements;
      at += n > 1 && !beginnings().contains(part) ? n - 1 : n;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("utf8: every code point is read as it is written") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string bytes = utf8(c);
    const Utf8Char read = utf8_char(bytes, 0);
    if (!(read.valid && read.code == c && size_t(read.length) == bytes.size())) FAIL("U+" << std::hex << uint32_t(c));
  }
}

TEST_CASE("utf8: ill-formed parts count as Python counts them") {
  const auto repaired = [](const char* bytes) { return repair_utf8(bytes); };
  CHECK(repaired("\xF0\x9F").replacements == 1);          // one unfinished character
  CHECK(repaired("\x82\xAC").replacements == 2);          // two bytes that begin nothing
  CHECK(repaired("\xE0\x80\x80").replacements == 3);      // longer than needed
  CHECK(repaired("\xED\xA0\x80").replacements == 3);      // a surrogate
  CHECK(repaired("\xF4\x90\x80\x80").replacements == 4);  // beyond U+10FFFF
  CHECK(repaired("\xF1\x80\x80").replacements == 1);
  CHECK(repaired("\xF1\x80\xE1\x80"
                 "a")
            .replacements == 2);
  CHECK(repaired("\xC0\xAF\xFF").replacements == 3);
  CHECK(repaired("a\xE2\x82z").text == "a\xEF\xBF\xBDz");
  CHECK(repaired("plain € text").text == "plain € text");
  CHECK(repaired("plain € text").replacements == 0);
}

TEST_CASE("utf8: random bytes are repaired as the definition says") {
  std::mt19937_64 random(3);
  const std::string likely = "aZ\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFF";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 12); n > 0; --n)
      bytes += round % 2 == 0 ? likely[size_t(random_below(random, int64_t(likely.size())))] : char(random());
    int64_t replacements = 0;
    const std::string expected = repair_slowly(bytes, replacements);
    const RepairedText found = repair_utf8(bytes);
    REQUIRE(found.text == expected);
    REQUIRE(found.replacements == replacements);
    REQUIRE(repair_utf8(found.text).replacements == 0);
  }
}
