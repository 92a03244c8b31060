#include "data/utf8_stream.h"

#include <array>

#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// Whether some bytes after these make them a character: those at the ends of the ranges that a second byte may have, then 80.
bool begins_a_character(const std::string& bytes) {
  for (const char* next : {"\x80", "\x90", "\xA0", "\xBF"})
    for (const char* rest : {"", "\x80", "\x80\x80"}) {
      const std::string all = bytes + next + rest;
      if (utf8_char(all, 0).valid && size_t(utf8_char(all, 0).length) == all.size()) return true;
    }
  return false;
}

}  // namespace

TEST_CASE("utf8 stream: text that comes in pieces is the text that comes as one, and never shows a part of a character") {
  std::mt19937_64 random(4);
  const std::string likely = "aZ\x80\xA0\xBF\xC2\xDF\xE0\xED\xEF\xF0\xF4\xFF";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 12); n > 0; --n)
      bytes += round % 3 == 0 ? std::string(1, likely[size_t(random_below(random, int64_t(likely.size())))])
               : round % 3 == 1
                   ? std::string(1, char(random()))
                   : utf8(std::array<char32_t, 5>{U'a', U'ß', U'€', U'😀', U'\uD7FF'}[size_t(random_below(random, 5))]);
    Utf8Stream stream;
    std::string text;
    for (size_t at = 0; at < bytes.size();) {
      const size_t count = std::min(bytes.size() - at, size_t(random_below(random, 4)));
      const std::string piece = stream.add(bytes.substr(at, count));
      REQUIRE(repair_utf8(piece).replacements == 0);
      text += piece;
      at += count;
      // What is held back is the beginning of a character, and nothing is that could have been shown.
      const std::string held = bytes.substr(0, at).substr(at - unfinished_utf8(bytes.substr(0, at)));
      REQUIRE((held.empty() || begins_a_character(held)));
      REQUIRE(text == repair_utf8(bytes.substr(0, at - held.size())).text);
    }
    REQUIRE(text + stream.finish() == repair_utf8(bytes).text);
    REQUIRE(stream.finish().empty());
  }
}

TEST_CASE("utf8 stream: how much of a character is there") {
  CHECK(unfinished_utf8("") == 0);
  CHECK(unfinished_utf8("abc") == 0);
  CHECK(unfinished_utf8("a\xC3") == 1);
  CHECK(unfinished_utf8("a\xE2\x82") == 2);
  CHECK(unfinished_utf8("\xF0\x9F\x98") == 3);
  CHECK(unfinished_utf8("€") == 0);
  CHECK(unfinished_utf8("\xFF") == 0);          // begins nothing
  CHECK(unfinished_utf8("\xE0\x80") == 0);      // cannot go on
  CHECK(unfinished_utf8("\x80\x80\x80") == 0);  // nor can what has no beginning
}
