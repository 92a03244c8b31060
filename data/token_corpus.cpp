#include "data/token_corpus.h"

#include "engine/core/error.h"

namespace kappa {

TokenCorpus tokenize(const Tokenizer& tokenizer, DocumentReader& reader, std::string_view name, int64_t tokens) {
  TokenCorpus corpus;
  const auto is_enough = [&] { return int64_t(corpus.tokens.size()) >= tokens; };
  for (auto texts = read_batch(reader); !texts.empty() && !is_enough(); texts = read_batch(reader))
    for (const auto& ids : tokenizer.encode_batch(texts)) {
      if (is_enough()) break;
      corpus.tokens.push_back(tokenizer.bos_id());
      corpus.tokens.insert(corpus.tokens.end(), ids.begin(), ids.end());
      corpus.begins.push_back(int64_t(corpus.tokens.size()));
    }
  require(corpus.documents() > 0, "{}: expected documents, found none", name);
  return corpus;
}

TokenCorpus tokenize_all(const Tokenizer& tokenizer, DocumentReader& reader, std::string_view name, int64_t most) {
  TokenCorpus corpus = tokenize(tokenizer, reader, name, most + 1);
  require(int64_t(corpus.tokens.size()) <= most,
          "{}: expected at most {} tokens, for where long documents are split all are kept in memory, found more; "
          "data.long_documents: crop keeps few",
          name, most);
  return corpus;
}

}  // namespace kappa
