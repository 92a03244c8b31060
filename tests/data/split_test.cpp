#include "data/tokenizer/split.h"

#include <cctype>
#include <map>
#include <set>

#include "data/tokenizer/unicode_classes.h"
#include "tests/data/regex.h"
#include "tests/data/support.h"

using namespace kappa;
using namespace kappa::test;

namespace {

std::vector<std::string> pieces_of(const std::string& text, const SplitPattern& pattern = paper_pattern()) {
  std::vector<std::string> pieces;
  for_each_piece(pattern, text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

/// Mostly characters that patterns speak of, sometimes any.
std::u32string random_text(std::mt19937_64& random) {
  static const std::u32string likely =
      U"    "
      U"\t\n\n\r'''sSdDmMtTlLvVeErRxyA0129,.!-_/"
      U"\u017F\u4F60\u00B2\u0301\u200D\u00A0\u2028\u3000\u0085\u200B\u01C5\u02B0\U0001F600";
  const bool any = random_below(random, 4) == 0;
  std::u32string text;
  for (int64_t n = random_below(random, 24); n > 0; --n) {
    const auto code = char32_t(random_below(random, 0x11000));
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    text += any && !surrogate ? code : likely[size_t(random_below(random, int64_t(likely.size())))];
  }
  return text;
}

}  // namespace

TEST_CASE("unicode classes: the table is sorted and has what Unicode 17 has, each character in one class") {
  using namespace char_class;
  int64_t next = 0;
  for (const auto& [first, last, type] : class_ranges()) {
    REQUIRE(int64_t(first) >= next);
    REQUIRE(first <= last);
    next = int64_t(last) + 1;
  }
  std::map<CharSet, int64_t> counts;
  for (char32_t c = 0; c < 0x110000; ++c) ++counts[classes_of(c)];
  CHECK(counts == std::map<CharSet, int64_t>{{upper, 1917},
                                             {lower, 2283},
                                             {caseless, 141472},
                                             {mark, 2543},
                                             {number, 1924},
                                             {space, 23},
                                             {space | newline, 2},
                                             {other, 0x110000 - 150164}});
  for (char32_t c = 0x20; c < 0x7F; ++c) {
    const bool is_letter = std::isalpha(int(c)) != 0, is_digit = std::isdigit(int(c)) != 0;
    CHECK(((classes_of(c) & letter) != 0) == is_letter);
    CHECK(((classes_of(c) & number) != 0) == is_digit);
  }
  for (int byte = 0x80; byte < 0x100; ++byte) CHECK(ascii_classes[size_t(byte)] == 0);
  for (char32_t c : {0xAA, 0x2B0, 0x4F60, 0x323B0}) CHECK(classes_of(c) == caseless);
  for (char32_t c : {0x41, 0x1C5, 0x1C89, 0x13A0}) CHECK(classes_of(c) == upper);
  for (char32_t c : {0x61, 0x17F, 0xDF, 0x1D68A}) CHECK(classes_of(c) == lower);
  for (char32_t c : {0x301, 0x903, 0x20DD}) CHECK(classes_of(c) == mark);
  for (char32_t c : {0xB2, 0xBD, 0x660, 0x2163, 0x3007}) CHECK(classes_of(c) == number);
  for (char32_t c : {0x85, 0xA0, 0x1680, 0x200A, 0x2028, 0x3000}) CHECK(classes_of(c) == space);
  for (char32_t c : {0x1C, 0x1F, 0x200B, 0xFEFF, 0x1F600, 0xFFFD, 0x10FFFF}) CHECK(classes_of(c) == other);
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

TEST_CASE("split: random texts are cut as every pattern's expression says") {
  std::mt19937_64 random(5);
  std::set<std::string_view> names;
  for (const SplitPattern& pattern : split_patterns()) {
    names.insert(pattern.name);
    CHECK(find_pattern(pattern.regex) == &pattern);
    const Regex regex(pattern.regex);
    for (int round = 0; round < 10'000; ++round) {
      const std::u32string text = random_text(random);
      std::vector<std::string> expected;
      for (size_t at = 0; at < text.size();) {
        const auto length = regex.match(text, at);
        REQUIRE((length && *length > 0));
        expected.push_back(utf8(text.substr(at, *length)));
        at += *length;
      }
      INFO(pattern.regex);
      REQUIRE(pieces_of(utf8(text), pattern) == expected);
    }
  }
  CHECK(names == std::set<std::string_view>{"the paper", "GPT-2", "cl100k", "Llama 3", "o200k"});
  CHECK(find_pattern(R"(\w+)") == nullptr);
}

TEST_CASE("split: text may be cut where a cut is sure") {
  std::mt19937_64 random(9);
  int cuts = 0;
  for (const SplitPattern& pattern : split_patterns())
    for (int round = 0; round < 3000; ++round) {
      const std::string text = utf8(random_text(random));
      const size_t cut = last_sure_cut(text);
      cuts += cut > 0;
      auto parts = pieces_of(text.substr(0, cut), pattern);
      const auto rest = pieces_of(text.substr(cut), pattern);
      parts.insert(parts.end(), rest.begin(), rest.end());
      REQUIRE(parts == pieces_of(text, pattern));
    }
  CHECK(cuts > 3000);
  CHECK(last_sure_cut("ab cd") == 2);
  CHECK(last_sure_cut("\u4F60\n\u4F60") == 3);
  CHECK(last_sure_cut("a!\n b") == 0);
  CHECK(last_sure_cut("") == 0);
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
