#pragma once
// How text is cut into the pieces that byte-pair encoding then works on, one by one (spec/evaluation.md §3.3).
//
// A pattern is known by its regular expression, which is what tokenizer files hold, and carried out by a hand-written scanner,
// which needs no regular expressions and no memory. Another pattern is another row of the table in split.cpp.

#include <span>
#include <string>
#include <string_view>

namespace kappa {

struct SplitPattern {
  std::string_view name;  // whose it is, for people
  std::string_view regex;
  /// Where the piece that begins at text[begin] ends; begin < text.size(). Ill-formed UTF-8 counts as U+FFFD, byte for byte kept.
  size_t (*piece_end)(std::string_view text, size_t begin);
};

/// All that are known. Some are there under several expressions that mean the same.
std::span<const SplitPattern> split_patterns();

/// The paper's: GPT-4's with at most two digits a piece.
const SplitPattern& paper_pattern();

/// The pattern with this regular expression, or nullptr if there is no scanner for it.
const SplitPattern* find_pattern(std::string_view regex);

/// The names of all patterns, for a message that refuses another one.
std::string pattern_names();

/// Calls body(std::string_view) for the pieces of `text`, in order. Together they are the text.
template <class Body>
void for_each_piece(const SplitPattern& pattern, std::string_view text, Body&& body) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = pattern.piece_end(text, begin);
    body(text.substr(begin, end - begin));
    begin = end;
  }
}

/// The last place where every pattern cuts, whatever follows, so that text can be read part by part: between a letter or number
/// and an ASCII white space. 0 if there is none.
size_t last_sure_cut(std::string_view text);

}  // namespace kappa
