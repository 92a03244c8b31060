#pragma once
// The forms in which tokenizers are kept, as text or bytes of one file. `file` names it in errors, which are InputErrors that
// also name the line, the key or the byte. None takes more memory than some thirty times the file's size.

#include <string>
#include <string_view>

#include "data/tokenizer/bpe_encoder.h"
#include "data/tokenizer/vocabulary.h"

namespace kappa {

/// T.tiktoken: a line a token: base64 of its bytes, a space, its id in decimal. Lines may come in any order.
std::vector<std::string> read_tiktoken(std::string_view text, const std::string& file);
std::string write_tiktoken(const std::vector<std::string>& tokens);

/// T.json: {"name", "pattern", "special_tokens": {text: id}, "n_vocab", "n_mergeable", "bos", "bos_id"}. What it says is put into
/// `vocabulary`, whose tokens are there.
void read_description(const std::string& text, const std::string& file, Vocabulary& vocabulary);
std::string write_description(const Vocabulary& vocabulary);

/// The tokenizer.json of Hugging Face's tokenizers, of byte-level BPE: "model", "added_tokens" and "pre_tokenizer" as GPT-2 and
/// Llama 3 have them. Refused is whatever would make its ids others than ours.
Vocabulary read_hugging_face(const std::string& text, const std::string& file);
std::string write_hugging_face(const Vocabulary& vocabulary, const BpeEncoder& encoder);

/// A pickled tiktoken Encoding, of protocol 3, 4 or 5. Read as data: nothing is executed or imported, an opcode that an Encoding
/// has no need of is refused, and so is any other class.
Vocabulary read_pickled_encoding(std::string_view bytes, const std::string& file);

/// The special token that begins a document by its name, where a file does not say which: <|bos|>, <|begin_of_text|>,
/// <|startoftext|>, <s>, <|endoftext|>; "" if there is none of these.
std::string likely_bos(const std::vector<Special>& specials);

/// Puts special tokens, or tokens, into the order of their ids. `where` names an id that is none: less than 0, too great, or
/// there twice; for tokens also one beyond the file's size in bytes, so that a short file cannot claim much memory.
void sort_specials(std::vector<Special>& specials, const std::string& where);
void place_token(std::vector<std::string>& tokens, std::string bytes, int64_t id, size_t file_size, const std::string& where);

}  // namespace kappa
