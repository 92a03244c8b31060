#pragma once
// `kappa tokenizer inspect`: what a tokenizer is and how it cuts a text, for people to read.

#include "data/output.h"
#include "data/tokenizer.h"

namespace kappa {

/// Its size, special tokens, pattern and longest tokens.
void show_tokenizer(const Tokenizer& tokenizer, Output& out);

/// How long a text is in bytes, pieces and tokens; the text, a colour a token, or without colours a | between tokens and a ‖
/// between pieces; and the tokens of its first `most` pieces with their ids.
void show_split(const Tokenizer& tokenizer, std::string_view text, int64_t most, bool color, Output& out);

}  // namespace kappa
