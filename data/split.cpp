#include "data/split.h"

#include "data/unicode_classes.h"
#include "data/utf8.h"

namespace kappa {
namespace {

/// A character of the text, or, past its end, a place of no character and no class.
struct Char {
  static constexpr char32_t none = 0xFFFFFFFF;
  char32_t code = none;
  CharClass type = CharClass::other;
  size_t end;  // where the next one begins

  bool is(CharClass wanted) const { return type == wanted && code != none; }
  bool is_newline() const { return code == '\r' || code == '\n'; }
};

Char char_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {.end = at};
  const Utf8Char c = utf8_char(text, at);
  return {c.code, char_class(c.code), at + size_t(c.length)};
}

/// The end of the run of characters of one class that begins at `at`.
size_t run_end(std::string_view text, size_t at, CharClass type) {
  for (Char c = char_at(text, at); c.is(type); c = char_at(text, at)) at = c.end;
  return at;
}

constexpr char32_t lower(char32_t code) { return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code; }

/// '(?i:[sdmt]|ll|ve|re), with `first` the letter after the apostrophe. 0 if it is something else.
size_t contraction_end(std::string_view text, const Char& first) {
  constexpr char32_t long_s = 0x17F;  // ſ, whose upper case is S
  const char32_t a = lower(first.code);
  if (a == 's' || a == 'd' || a == 'm' || a == 't' || a == long_s) return first.end;
  const Char second = char_at(text, first.end);
  const char32_t b = lower(second.code);
  return (a == 'l' && b == 'l') || ((a == 'v' || a == 'r') && b == 'e') ? second.end : 0;
}

/// \s*[\r\n] | \s+(?!\S) | \s+, at a white space: through the run's last line end; else all of a run that ends the text or is one
/// character long; else all but its last character, which goes to what follows.
size_t space_end(std::string_view text, size_t begin) {
  size_t end = begin, last = begin, after_newline = 0;
  for (Char c = char_at(text, begin); c.is(CharClass::space); c = char_at(text, end)) {
    last = end;
    end = c.end;
    if (c.is_newline()) after_newline = end;
  }
  if (after_newline != 0) return after_newline;
  return end == text.size() || last == begin ? end : last;
}

// The alternatives of the expression in order, as spec/evaluation.md §3.3 derives them. The possessive quantifiers change
// nothing.
size_t paper_piece_end(std::string_view text, size_t begin) {
  using enum CharClass;
  const Char first = char_at(text, begin), second = char_at(text, first.end);
  if (first.code == '\'')
    if (const size_t end = contraction_end(text, second)) return end;
  if (first.is(letter)) return run_end(text, first.end, letter);
  if (second.is(letter) && !first.is(number) && !first.is_newline()) return run_end(text, second.end, letter);
  if (first.is(number)) return second.is(number) ? second.end : first.end;
  if (const Char& mark = first.code == ' ' ? second : first; mark.is(other)) {
    size_t end = run_end(text, mark.end, other);
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
    return end;
  }
  return space_end(text, begin);
}

constexpr SplitPattern patterns[] = {
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     paper_piece_end},
};

}  // namespace

const SplitPattern& paper_pattern() { return patterns[0]; }

const SplitPattern* find_pattern(std::string_view regex) {
  for (const SplitPattern& pattern : patterns)
    if (pattern.regex == regex) return &pattern;
  return nullptr;
}

}  // namespace kappa
