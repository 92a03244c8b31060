#include "data/tokenizer_inspect.h"

#include <algorithm>
#include <utility>

#include "engine/core/text.h"
#include "engine/core/utf8.h"

namespace kappa {
namespace {

/// Bytes in quotes: what is no printable text as \n, \t, \xE2.
std::string in_quotes(std::string_view bytes) {
  std::string text = "\"";
  for (const char byte : bytes) {
    if (byte == '"' || byte == '\\') text += '\\';
    text += byte;
  }
  return one_line(text) + "\"";
}

struct Piece {
  std::string_view bytes;
  std::vector<int32_t> ids;
};

std::vector<Piece> pieces_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Piece> pieces;
  for_each_piece(*tokenizer.vocabulary().pattern, text, [&](std::string_view bytes) {
    tokenizer.encoder().encode(bytes, pieces.emplace_back(Piece{bytes, {}}).ids);
  });
  return pieces;
}

/// Neighbouring tokens in two shades, those of neighbouring pieces in different colours. A character that several tokens share is
/// shown whole with the last of them.
std::string in_colors(const Tokenizer& tokenizer, const std::vector<Piece>& pieces) {
  static constexpr int colors[] = {46, 42, 45, 43, 44, 41};
  std::string text, waiting;
  for (size_t p = 0; p < pieces.size(); ++p)
    for (size_t i = 0; i < pieces[p].ids.size(); ++i) {
      waiting += tokenizer.token(pieces[p].ids[i]);
      if (!is_utf8(waiting) && i + 1 < pieces[p].ids.size()) continue;
      const int color = colors[p % std::size(colors)] + (i % 2 == 0 ? 0 : 60);
      text += fmt::format("\x1b[30;{}m{}\x1b[0m", color, for_terminal(std::exchange(waiting, {})));
    }
  return text;
}

std::string with_bars(const Tokenizer& tokenizer, const std::vector<Piece>& pieces) {
  std::string text;
  for (size_t p = 0; p < pieces.size(); ++p)
    for (size_t i = 0; i < pieces[p].ids.size(); ++i) {
      if (i > 0 || p > 0) text += i > 0 ? "|" : "‖";
      text += for_terminal(repair_utf8(std::string(tokenizer.token(pieces[p].ids[i]))).text);
    }
  return text;
}

}  // namespace

void show_tokenizer(const Tokenizer& tokenizer, Output& out) {
  const Vocabulary& v = tokenizer.vocabulary();
  const int64_t tokens = int64_t(v.tokens.size()) - std::ranges::count(v.tokens, std::string());
  line(out, "{}: {} tokens and {} special ones, ids below {}", for_terminal(v.name), grouped(tokens), v.specials.size(),
       grouped(tokenizer.size()));
  constexpr size_t shown_specials = 12;
  for (size_t i = 0; i < std::min(v.specials.size(), shown_specials); ++i)
    line(out, "  {:>8} {}{}", v.specials[i].id, for_terminal(v.specials[i].text),
         v.specials[i].text == v.bos ? ", which begins a document" : "");
  if (v.specials.size() > shown_specials) line(out, "           and {} more", v.specials.size() - shown_specials);
  line(out, "split pattern: that of {}\n  {}", v.pattern->name, v.pattern->regex);
  const auto longest = std::ranges::max_element(v.tokens, {}, &std::string::size);
  int64_t parts = 0, unreachable = 0;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    parts += !is_utf8(v.tokens[id]);
    unreachable += !v.tokens[id].empty() && !tokenizer.encoder().is_reachable(int32_t(id));
  }
  line(out, "longest token: {} bytes, {}; {} tokens hold parts of characters{}", longest->size(),
       in_quotes(longest->substr(0, 64)), grouped(parts),
       unreachable > 0 ? fmt::format("; no merges lead to {}", grouped(unreachable)) : "");
}

void show_split(const Tokenizer& tokenizer, std::string_view text, int64_t most, bool color, Output& out) {
  const auto pieces = pieces_of(tokenizer, text);
  size_t tokens = 0;
  for (const Piece& piece : pieces) tokens += piece.ids.size();
  line(out, "{} bytes, {} pieces, {} tokens{}", grouped(int64_t(text.size())), grouped(int64_t(pieces.size())),
       grouped(int64_t(tokens)), tokens == 0 ? "" : fmt::format(", {:.2f} bytes a token", double(text.size()) / double(tokens)));
  line(out, "{}", color ? in_colors(tokenizer, pieces) : with_bars(tokenizer, pieces));
  for (size_t p = 0; p < std::min(pieces.size(), size_t(most)); ++p) {
    const auto& [bytes, ids] = pieces[p];
    std::string what;
    for (const int32_t id : ids)
      what += "  " + (ids.size() == 1 ? "" : in_quotes(tokenizer.token(id)) + " ") + fmt::format("{}", id);
    line(out, "  {:<20}{}", in_quotes(bytes), what);
  }
  if (pieces.size() > size_t(most)) line(out, "  and {} more pieces", grouped(int64_t(pieces.size()) - most));
}

}  // namespace kappa
