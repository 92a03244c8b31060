#pragma once
// What a byte-level tokenizer is made of, as plain data: what a trainer gives, what a file holds.

#include <cstdint>
#include <string>
#include <vector>

#include "data/split.h"

namespace kappa {

struct Vocabulary {
  const SplitPattern* pattern = &paper_pattern();
  std::vector<std::string> tokens =
      {};  // the bytes of id 0, 1, …; a lower id is merged first. All 256 single bytes are among them
  std::vector<std::string> specials = {};  // id tokens.size(), tokens.size() + 1, …; never the result of encoding text
  std::string bos = {};                    // the special that begins every document
  std::string name = "kappa";

  int64_t size() const { return int64_t(tokens.size() + specials.size()); }
};

/// The nine specials of the paper in the order of their ids; the first is its BOS (spec/evaluation.md §3.1).
const std::vector<std::string>& paper_specials();

/// Throws InputError that begins with `where` unless the tokens are distinct, not empty and hold all single bytes, and the
/// specials are distinct and hold the BOS.
void check_vocabulary(const Vocabulary& vocabulary, const std::string& where);

}  // namespace kappa
