#include "data/split.h"

#include "data/unicode_classes.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

// The expression read as an engine of regular expressions reads it: alternatives in order, a greedy repetition tried from its
// longest match to its shortest, a possessive one only at its longest.
using Text = std::u32string;
using Set = bool (*)(char32_t);

bool is_letter(char32_t c) { return char_class(c) == CharClass::letter; }
bool is_number(char32_t c) { return char_class(c) == CharClass::number; }
bool is_space(char32_t c) { return char_class(c) == CharClass::space; }
bool is_mark(char32_t c) { return char_class(c) == CharClass::other; }
bool is_newline(char32_t c) { return c == '\r' || c == '\n'; }

size_t count(const Text& text, size_t at, Set set) {
  size_t n = 0;
  while (at + n < text.size() && set(text[at + n])) ++n;
  return n;
}

/// The length of what matches at `at`.
size_t match(const Text& text, size_t at) {
  const size_t left = text.size() - at;
  const auto lower = [&](size_t i) {
    return i < left ? (text[at + i] >= 'A' && text[at + i] <= 'Z' ? text[at + i] + 32 : text[at + i]) : 0;
  };
  // '(?i:[sdmt]|ll|ve|re)
  if (lower(0) == '\'') {
    for (char32_t one : {U's', U'd', U'm', U't', U'ſ'})
      if (lower(1) == one) return 2;
    for (const char32_t* two : {U"ll", U"ve", U"re"})
      if (lower(1) == two[0] && lower(2) == two[1]) return 3;
  }
  // [^\r\n\p{L}\p{N}]?+\p{L}+
  const size_t prefix = !is_newline(text[at]) && !is_letter(text[at]) && !is_number(text[at]) ? 1 : 0;
  if (const size_t n = count(text, at + prefix, is_letter)) return prefix + n;
  // \p{N}{1,2}
  if (const size_t n = count(text, at, is_number)) return std::min<size_t>(n, 2);
  //  ?[^\s\p{L}\p{N}]++[\r\n]*
  for (size_t space = text[at] == ' ' ? 2 : 1; space-- > 0;)
    if (const size_t n = count(text, at + space, is_mark)) return space + n + count(text, at + space + n, is_newline);
  // \s*[\r\n]
  const size_t spaces = count(text, at, is_space);
  for (size_t n = spaces + 1; n-- > 0;)
    if (n < left && is_newline(text[at + n])) return n + 1;
  // \s+(?!\S)
  for (size_t n = spaces; n > 0; --n)
    if (n == left || is_space(text[at + n])) return n;
  // \s+
  return spaces;
}

std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces;
  for_each_piece(paper_pattern(), text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

}  // namespace

TEST_CASE("unicode classes: the table is sorted, agrees with the table for ASCII, and has what Unicode 17 has") {
  int64_t next = 0, letters = 0, numbers = 0, spaces = 0;
  for (const auto& [first, last, type] : class_ranges()) {
    REQUIRE(int64_t(first) >= next);
    REQUIRE(first <= last);
    next = int64_t(last) + 1;
    (type == CharClass::letter ? letters : type == CharClass::number ? numbers : spaces) += last - first + 1;
  }
  CHECK(letters == 145672);
  CHECK(numbers == 1924);
  CHECK(spaces == 25);
  for (char32_t c = 0; c < 128; ++c) CHECK(char_class(c) == detail::search_class(c));
  for (char32_t c : {0xAA, 0x17F, 0x4F60, 0x1C89, 0x10940, 0x323B0}) CHECK(char_class(c) == CharClass::letter);
  for (char32_t c : {0xB2, 0xBD, 0x660, 0x2163, 0x3007}) CHECK(char_class(c) == CharClass::number);
  for (char32_t c : {0x85, 0xA0, 0x1680, 0x200A, 0x2028, 0x3000}) CHECK(char_class(c) == CharClass::space);
  for (char32_t c : {0x1C, 0x1F, 0x200B, 0xFEFF, 0x301, 0x1F600, 0xFFFD, 0x10FFFF}) CHECK(char_class(c) == CharClass::other);
}

TEST_CASE("split: pieces of texts as the regular expression gives them") {
  for (const auto& row : fixture("split.json")) {
    std::u32string codes;
    for (uint32_t code : row["text"]) codes += char32_t(code);
    std::vector<size_t> lengths;
    for (const auto& piece : pieces_of(utf8(codes))) lengths.push_back(piece.size());
    INFO(row["text"].dump());
    CHECK(lengths == row["pieces"].get<std::vector<size_t>>());
  }
}

TEST_CASE("split: random texts are cut as the expression says") {
  std::mt19937_64 random(5);
  const Text likely =
      U"    \t\n\n\r'''sSdDmMtTlLvVeErRxyA0129,.!-_\u017F\u4F60\u00B2\u0301\u200D\u00A0\u2028\u3000\u0085\u200B\U0001F600";
  for (int round = 0; round < 40000; ++round) {
    Text text;
    for (int64_t n = random_below(random, 24); n > 0; --n) {
      const auto any = char32_t(random_below(random, 0x11000));
      const bool surrogate = any >= 0xD800 && any < 0xE000;
      text += round % 4 == 0 && !surrogate ? any : likely[size_t(random_below(random, int64_t(likely.size())))];
    }
    std::vector<std::string> expected;
    for (size_t at = 0; at < text.size();) {
      const size_t n = match(text, at);
      expected.push_back(utf8(text.substr(at, n)));
      at += n;
    }
    REQUIRE(pieces_of(utf8(text)) == expected);
  }
}

TEST_CASE("split: any bytes are covered, each ill-formed part as one character that is no letter, number or space") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes;
    for (int64_t n = random_below(random, 40); n > 0; --n) bytes += char(random());
    std::string joined;
    for (const auto& piece : pieces_of(bytes)) joined += piece;
    REQUIRE(joined == bytes);
  }
  CHECK(pieces_of("a\xFF\xFE"
                  "b") == std::vector<std::string>{"a", "\xFF\xFE", "b"});
  CHECK(pieces_of("a \xE2\x82 b") == std::vector<std::string>{"a", " \xE2\x82", " b"});
}

TEST_CASE("split: a long run of spaces takes linear time") {
  const std::string text(1 << 22, ' ');
  CHECK(pieces_of(text).size() == 1);
  CHECK(pieces_of(text + "x").size() == 2);
}

TEST_CASE("split: a pattern is found by its expression") {
  CHECK(find_pattern(paper_pattern().regex) == &paper_pattern());
  CHECK(find_pattern(R"(\w+)") == nullptr);
}
