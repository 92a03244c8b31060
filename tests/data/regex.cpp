#include "tests/data/regex.h"

#include <limits>
#include <map>
#include <stdexcept>

#include "data/tokenizer/unicode_classes.h"

namespace kappa::test {

Regex::Regex(std::string_view expression) : rest_(expression) {
  root_ = alternatives();
  if (!rest_.empty()) throw std::runtime_error("regex: what is " + std::string(rest_));
}

std::optional<size_t> Regex::match(std::u32string_view text, size_t at) const {
  std::optional<size_t> length;
  root_(text, at, [&](size_t end) {
    length = end - at;
    return true;
  });
  return length;
}

bool Regex::accept(std::string_view word) {
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

Regex::Node Regex::alternatives() {
  std::vector<Node> choices{sequence()};
  while (accept("|")) choices.push_back(sequence());
  return [choices](std::u32string_view text, size_t at, const Next& next) {
    for (const Node& choice : choices)
      if (choice(text, at, next)) return true;
    return false;
  };
}

Regex::Node Regex::sequence() {
  Node all = [](std::u32string_view, size_t at, const Next& next) { return next(at); };
  while (!rest_.empty() && rest_[0] != '|' && rest_[0] != ')')
    all = [first = all, second = repeated(item())](std::u32string_view text, size_t at, const Next& next) {
      return first(text, at, [&](size_t middle) { return second(text, middle, next); });
    };
  return all;  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it sees how a std::function is made, not how it ends
}

Regex::Node Regex::item() {
  const bool before = any_case_, look = accept("(?!");
  if (look || accept("(?:") || accept("(?i:")) {
    if (!look && rest_.data()[-2] == 'i') any_case_ = true;
    const Node inside = alternatives();
    any_case_ = before;
    if (!accept(")")) throw std::runtime_error("regex: no )");
    if (!look) return inside;
    return [inside](std::u32string_view text, size_t at, const Next& next) {
      return !inside(text, at, [](size_t) { return true; }) && next(at);
    };
  }
  if (accept("$")) return [](std::u32string_view text, size_t at, const Next& next) { return at == text.size() && next(at); };
  return of_set(accept("[") ? set() : escape());
}

Regex::Node Regex::of_set(Set set) {
  return [set = std::move(set)](std::u32string_view text, size_t at, const Next& next) {
    return at < text.size() && set(text[at]) && next(at + 1);
  };
}

Regex::Node Regex::repeated(Node node) {
  size_t least = 1, most = 1;
  const size_t endless = std::numeric_limits<size_t>::max();
  if (accept("?"))
    least = 0;
  else if (accept("*"))
    least = 0, most = endless;
  else if (accept("+"))
    most = endless;
  else if (accept("{1,"))
    most = size_t(rest_[0] - '0'), rest_.remove_prefix(2);
  else
    return node;
  // In Rust and Python {m,n}+ repeats the repetition; Oniguruma and these patterns mean it as possessive, and it changes nothing.
  const bool possessive = accept("+");
  const std::function<bool(std::u32string_view, size_t, size_t, const Next&)> more = [=](std::u32string_view text, size_t at,
                                                                                         size_t count, const Next& next) {
    const std::function<bool(size_t, size_t)> from = [&](size_t here, size_t n) {
      if (n < most && node(text, here, [&](size_t end) { return end > here && from(end, n + 1); })) return true;
      return n >= least && next(here);
    };
    return from(at, count);
  };
  if (!possessive) return [more](std::u32string_view text, size_t at, const Next& next) { return more(text, at, 0, next); };
  return [more](std::u32string_view text, size_t at, const Next& next) {
    std::optional<size_t> longest;
    more(text, at, 0, [&](size_t end) {
      longest = end;
      return true;
    });
    return longest && next(*longest);
  };
}

Regex::Set Regex::set() {
  const bool negated = accept("^");
  std::vector<Set> members;
  while (!accept("]")) members.push_back(escape());
  return [=](char32_t code) {
    for (const Set& member : members)
      if (member(code)) return !negated;
    return negated;
  };
}

/// A character, or a class of characters.
Regex::Set Regex::escape() {
  using namespace char_class;
  static const std::map<std::string_view, CharSet> classes{{R"(\p{L})", letter},    {R"(\p{Lu})", upper},    {R"(\p{Lt})", 0},
                                                           {R"(\p{Lm})", caseless}, {R"(\p{Lo})", caseless}, {R"(\p{Ll})", lower},
                                                           {R"(\p{N})", number},    {R"(\p{M})", mark},      {R"(\s)", space}};
  if (accept(R"(\S)")) return [](char32_t code) { return (classes_of(code) & space) == 0; };
  if (accept(R"(\r)")) return one('\r');
  if (accept(R"(\n)")) return one('\n');
  for (const auto& [word, members] : classes)
    if (accept(word)) return [m = members](char32_t code) { return (classes_of(code) & m) != 0; };
  if (rest_.empty() || rest_[0] == '\\') throw std::runtime_error("regex: what is " + std::string(rest_));
  const char32_t code = char32_t(rest_[0]);
  rest_.remove_prefix(1);
  return one(code);
}

Regex::Set Regex::one(char32_t code) const {
  return [code, any = any_case_](char32_t c) {
    if (any && c == 0x17F) c = 's';
    if (any && c >= 'A' && c <= 'Z') c += 'a' - 'A';
    return c == code;
  };
}

}  // namespace kappa::test
