#pragma once
// Documents as lines of ids and back: {"ids": [1, 2, 3]} and {"text": "…"}.

#include "data/byte_stream.h"
#include "data/documents.h"
#include "data/output.h"
#include "data/tokenizer.h"

namespace kappa {

struct EncodeOptions {
  bool specials = false;  // the texts of special tokens are their ids
  bool bos = false;       // before every document
};

/// All that is left in `reader`, by all threads.
void encode_lines(const Tokenizer& tokenizer, DocumentReader& reader, const EncodeOptions& options, Output& out);

/// Returns how many U+FFFD stand for what is not UTF-8. Throws InputError naming the line.
int64_t decode_lines(const Tokenizer& tokenizer, Lines& lines, Output& out);

}  // namespace kappa
