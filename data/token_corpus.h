#pragma once
// Tokenised documents in memory.

#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "data/documents.h"
#include "data/tokenizer.h"

namespace kappa {

/// Every document is the BOS and then its ids (spec/evaluation.md §4.3).
struct TokenCorpus {
  std::vector<int32_t> tokens;     // of all documents, one after the other
  std::vector<int64_t> begins{0};  // [documents + 1] where each begins; the last is tokens.size()

  int64_t documents() const { return int64_t(begins.size()) - 1; }
  std::span<const int32_t> document(int64_t i) const {
    const int64_t begin = begins[size_t(i)], end = begins[size_t(i) + 1];
    return std::span(tokens).subspan(size_t(begin), size_t(end - begin));
  }
};

/// The documents that are left in `reader`, until they have at least `tokens` together, by all threads. Throws InputError that
/// begins with `name` if there are none.
TokenCorpus tokenize(const Tokenizer& tokenizer, DocumentReader& reader, std::string_view name,
                     int64_t tokens = std::numeric_limits<int64_t>::max());

/// All of them, for LongDocuments::split. Throws InputError also if they have more than `most` tokens.
TokenCorpus tokenize_all(const Tokenizer& tokenizer, DocumentReader& reader, std::string_view name, int64_t most);

}  // namespace kappa
