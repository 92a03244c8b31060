#pragma once
// Regular expressions read at their word: alternatives in order, a greedy repetition tried from its longest match to its
// shortest, a possessive one only at its longest. Slow, and only what split patterns need: | (?:) (?i:) (?!) [] [^] ? * + {m,n}
// ++ *+ ?+ $ and \p{L} \p{Lu} … \p{N} \p{M} \s \S \r \n.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kappa::test {

class Regex {
 public:
  explicit Regex(std::string_view expression);
  /// The length of what matches at `at`; nothing if nothing does.
  std::optional<size_t> match(std::u32string_view text, size_t at) const;

 private:
  using Next = std::function<bool(size_t at)>;  // whether the rest of the expression matches there
  using Node = std::function<bool(std::u32string_view text, size_t at, const Next& next)>;
  using Set = std::function<bool(char32_t)>;

  Node alternatives();
  Node sequence();
  Node item();
  Node repeated(Node node);
  Set set();
  Set escape();
  Set one(char32_t code) const;
  static Node of_set(Set set);

  bool accept(std::string_view word);

  std::string_view rest_;
  bool any_case_ = false;
  Node root_;
};

}  // namespace kappa::test
