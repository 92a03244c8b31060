#pragma once
// What a byte-level tokenizer is made of, as plain data: what a trainer gives, what a file holds.

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer/split.h"

namespace kappa {

/// A token that stands for no text of its own, such as the beginning of a document.
struct Special {
  std::string text;
  int32_t id;
  bool operator==(const Special&) const = default;
};

struct Vocabulary {
  const SplitPattern* pattern = &paper_pattern();
  std::vector<std::string> tokens = {};  // the bytes of id 0, 1, …, "" where an id is none; a lower id is merged first. All 256
                                         // single bytes are among them
  std::vector<Special> specials = {};    // in the order of their ids, which are not those of tokens
  std::string bos = {};                  // the text of the special that begins every document; "" if there is none
  std::string name = "kappa";

  /// One more than the greatest id.
  int64_t size() const;
};

/// No vocabulary has more ids.
inline constexpr int64_t largest_vocabulary = int64_t{1} << 21;

/// The nine specials of the paper, with the ids first, first + 1, …; the first is its BOS (spec/evaluation.md §3.1).
std::vector<Special> paper_specials(size_t first);

/// Throws InputError that begins with `where` unless the tokens are distinct and hold all single bytes, and the specials are
/// distinct, with ids of their own, in order, and hold the BOS.
void check_vocabulary(const Vocabulary& vocabulary, const std::string& where);

}  // namespace kappa
