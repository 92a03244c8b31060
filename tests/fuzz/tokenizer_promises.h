#pragma once
// What a tokenizer file promises, whatever its form: it is refused in one line, or it is a vocabulary that encodes and decodes.

#include <cstdlib>

#include "data/tokenizer.h"
#include "engine/core/error.h"

namespace kappa::test {

/// `read()` gives a Vocabulary; `write_again(vocabulary)` another one, from its own text in this form.
template <class Read, class WriteAgain>
void check_promises(Read read, WriteAgain write_again) {
  try {
    const Vocabulary v = read();
    const Tokenizer tokenizer(v);
    const std::string text = "the cat's 12345 lives  \n\n\xF0\x9F\x98\x80 \xFF the the the";
    const auto ids = tokenizer.encode(text);
    if (tokenizer.decode_bytes(ids) != text || tokenizer.token_bytes().size() != size_t(tokenizer.size())) std::abort();
    const Vocabulary again = write_again(v);
    if (again.tokens != v.tokens || again.specials != v.specials || again.pattern != v.pattern) std::abort();
  } catch (const InputError& e) {
    const std::string message = e.what();
    if (message.find('\n') != std::string::npos || message.size() > 1000 || !message.starts_with("fuzz")) std::abort();
  }
}

/// The 256 bytes and some merges, with two special tokens, the second after a gap.
inline Vocabulary small_vocabulary() {
  Vocabulary v;
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, char(byte));
  for (const char* token : {" t", "he", " the", "at", " c", " cat", "\xF0\x9F", "\n\n", "12"}) v.tokens.emplace_back(token);
  v.specials = {{"<|bos|>", 265}, {"<|x|>", 270}};
  v.bos = "<|bos|>";
  return v;
}

}  // namespace kappa::test
