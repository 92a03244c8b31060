#pragma once
// How text is cut into the pieces that byte-pair encoding then works on, one by one (spec/evaluation.md §3.3).
//
// A pattern is known by its regular expression, which is what tokenizer files hold, and carried out by a hand-written scanner,
// which needs no regular expressions and no memory. Another pattern is another row of the table in split.cpp.

#include <string_view>

namespace kappa {

struct SplitPattern {
  std::string_view regex;
  /// Where the piece that begins at text[begin] ends; begin < text.size(). Ill-formed UTF-8 counts as U+FFFD, byte for byte kept.
  size_t (*piece_end)(std::string_view text, size_t begin);
};

/// The paper's: GPT-4's with at most two digits a piece.
const SplitPattern& paper_pattern();

/// The pattern with this regular expression, or nullptr if there is no scanner for it.
const SplitPattern* find_pattern(std::string_view regex);

/// Calls body(std::string_view) for the pieces of `text`, in order. Together they are the text.
template <class Body>
void for_each_piece(const SplitPattern& pattern, std::string_view text, Body&& body) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = pattern.piece_end(text, begin);
    body(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace kappa
