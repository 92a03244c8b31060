#include "data/tokenizer/split.h"

#include "data/tokenizer/unicode_classes.h"
#include "engine/core/utf8.h"

namespace kappa {
namespace {

using namespace char_class;

/// A character of the text, or, past its end, a place of no character and no class.
struct Char {
  static constexpr char32_t none = 0xFFFFFFFF;
  char32_t code = none;
  CharSet type = 0;
  size_t end;  // where the next one begins

  bool in(CharSet set) const { return (type & set) != 0; }
};

Char char_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {.end = at};
  const Utf8Char c = utf8_char(text, at);
  return {c.code, classes_of(c.code), at + size_t(c.length)};
}

/// The end of the run of characters of a set that begins at `at`.
size_t run_end(std::string_view text, size_t at, CharSet set) {
  for (;;) {
    while (at < text.size() && (ascii_classes[uint8_t(text[at])] & set) != 0) ++at;
    if (at == text.size() || uint8_t(text[at]) < 0x80) return at;
    const Char c = char_at(text, at);
    if (!c.in(set)) return at;
    at = c.end;
  }
}

/// The same of at most `most` characters.
size_t run_end(std::string_view text, size_t at, CharSet set, int most) {
  for (Char c = char_at(text, at); most > 0 && c.in(set); c = char_at(text, at), --most) at = c.end;
  return at;
}

enum class Case { sensitive, insensitive };

/// '(?:[sdmt]|ll|ve|re) at an apostrophe, or 0.
template <Case letter_case>
size_t contraction_end(std::string_view text, size_t apostrophe) {
  const auto plain = [](char32_t code) -> char32_t {
    if constexpr (letter_case == Case::sensitive) return code;
    constexpr char32_t long_s = 0x17F;  // ſ, whose upper case is S
    return code == long_s ? 's' : code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
  };
  const Char first = char_at(text, apostrophe + 1);
  const char32_t a = plain(first.code);
  if (a == 's' || a == 'd' || a == 'm' || a == 't') return first.end;
  const Char second = char_at(text, first.end);
  const char32_t b = plain(second.code);
  return (a == 'l' && b == 'l') || ((a == 'v' || a == 'r') && b == 'e') ? second.end : 0;
}

/// What a run of white space that ends the text is.
enum class LastSpaces {
  cut_after_newline,  // cut like any other: \s*[\r\n]|\s+(?!\S)|\s+
  whole,              // one piece: \s++$|\s*[\r\n]|\s+(?!\S)|\s
};

/// At a white space: through the run's last line end; else all of a run that ends the text or is one character long; else all but
/// its last character, which goes to what follows.
size_t space_end(std::string_view text, size_t begin, LastSpaces last_spaces) {
  size_t end = begin, last = begin, after_newline = 0;
  for (Char c = char_at(text, begin); c.in(space); c = char_at(text, end)) {
    last = end;
    end = c.end;
    if (c.in(newline)) after_newline = end;
  }
  if (end == text.size() && last_spaces == LastSpaces::whole) return end;
  if (after_newline != 0) return after_newline;
  return end == text.size() || last == begin ? end : last;
}

///  ?[^\s\p{L}\p{N}]+ and then `more` bytes; 0 if there is none. `first` is the character at begin, `second` the next one.
size_t mark_end(std::string_view text, const Char& first, const Char& second, std::string_view more) {
  const Char& start = first.code == ' ' ? second : first;
  if (!start.in(other | mark)) return 0;
  size_t end = run_end(text, start.end, other | mark);
  while (end < text.size() && more.find(text[end]) != more.npos) ++end;
  return end;
}

// Of every pattern, the alternatives in order; spec/evaluation.md §3.3 derives the first. Possessive quantifiers change nothing.

/// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|white space
template <int digits, LastSpaces last_spaces>
size_t gpt4_piece_end(std::string_view text, size_t begin) {
  const Char first = char_at(text, begin);
  if (first.in(letter)) return run_end(text, first.end, letter);
  if (first.code == '\'')
    if (const size_t end = contraction_end<Case::insensitive>(text, begin)) return end;
  const Char second = char_at(text, first.end);
  if (second.in(letter) && !first.in(number | newline)) return run_end(text, second.end, letter);
  if (first.in(number)) return run_end(text, first.end, number, digits - 1);
  if (const size_t end = mark_end(text, first, second, "\r\n")) return end;
  return space_end(text, begin, last_spaces);
}

/// '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t gpt2_piece_end(std::string_view text, size_t begin) {
  const Char first = char_at(text, begin), second = char_at(text, first.end);
  if (first.code == '\'')
    if (const size_t end = contraction_end<Case::sensitive>(text, begin)) return end;
  const Char& start = first.code == ' ' ? second : first;
  for (const CharSet set : {letter, number, CharSet(other | mark)})
    if (start.in(set)) return run_end(text, start.end, set);
  size_t end = begin, last = begin;
  for (Char c = first; c.in(space); c = char_at(text, end)) last = end, end = c.end;
  return end == text.size() || last == begin ? end : last;
}

constexpr CharSet title = upper | caseless | mark;   // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
constexpr CharSet little = lower | caseless | mark;  // [\p{Ll}\p{Lm}\p{Lo}\p{M}]

/// [title]*[little]+, or 0. Where nothing little follows the run of title characters, the last of them that is both is given
/// back.
size_t capitalised_end(std::string_view text, size_t begin) {
  size_t end = begin, after_both = 0;
  for (Char c = char_at(text, begin); c.in(title); c = char_at(text, end)) {
    end = c.end;
    if (c.in(little)) after_both = end;
  }
  const size_t little_end = run_end(text, end, little);
  return little_end > end ? little_end : after_both;
}

/// [title]+[little]*, or 0, where capitalised_end found nothing: then nothing little follows.
size_t capitals_end(std::string_view text, size_t begin) {
  const size_t end = run_end(text, begin, title);
  return end > begin ? end : 0;
}

/// [^\r\n\p{L}\p{N}]?[title]*[little]+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?[title]+[little]*(?i:'s|…)?|\p{N}{1,3}|
///  ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t o200k_piece_end(std::string_view text, size_t begin) {
  const Char first = char_at(text, begin);
  for (const auto word_end : {capitalised_end, capitals_end})
    for (const bool prefix : {true, false}) {
      if (prefix && first.in(letter | number | newline)) continue;
      if (const size_t end = word_end(text, prefix ? first.end : begin)) {
        const bool apostrophe = end < text.size() && text[end] == '\'';
        const size_t contraction = apostrophe ? contraction_end<Case::insensitive>(text, end) : 0;
        return contraction != 0 ? contraction : end;
      }
    }
  if (first.in(number)) return run_end(text, first.end, number, 2);
  if (const size_t end = mark_end(text, first, char_at(text, first.end), "\r\n/")) return end;
  return space_end(text, begin, LastSpaces::cut_after_newline);
}

using enum LastSpaces;

constexpr SplitPattern patterns[] = {
    {"the paper",
     R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     gpt4_piece_end<2, cut_after_newline>},
    {"GPT-2", R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)", gpt2_piece_end},
    {"GPT-2", R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2_piece_end},
    {"GPT-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2_piece_end},
    {"GPT-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2_piece_end},
    {"cl100k",
     R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
     gpt4_piece_end<3, whole>},
    {"cl100k",
     R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
     gpt4_piece_end<3, whole>},
    {"cl100k", R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     gpt4_piece_end<3, cut_after_newline>},
    {"Llama 3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     gpt4_piece_end<3, cut_after_newline>},
    {"o200k",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     o200k_piece_end},
};

}  // namespace

std::span<const SplitPattern> split_patterns() { return patterns; }

const SplitPattern& paper_pattern() { return patterns[0]; }

const SplitPattern* find_pattern(std::string_view regex) {
  for (const SplitPattern& pattern : patterns)
    if (pattern.regex == regex) return &pattern;
  return nullptr;
}

size_t last_sure_cut(std::string_view text) {
  for (size_t at = text.size(); at-- > 1;) {
    const auto byte = uint8_t(text[at]);
    if (byte >= 0x80 || (ascii_classes[byte] & space) == 0) continue;
    size_t before = at - 1;
    while (before > 0 && at - before < 4 && (uint8_t(text[before]) & 0xC0) == 0x80) --before;
    if (const Char c = char_at(text, before); c.end == at && c.in(letter | number)) return at;
  }
  return 0;
}

std::string pattern_names() {
  std::string names;
  for (const SplitPattern* p = std::begin(patterns); p != std::end(patterns); ++p)
    if (p == std::begin(patterns) || p->name != (p - 1)->name) names += (names.empty() ? "" : ", ") + std::string(p->name);
  return names;
}

}  // namespace kappa
