#pragma once
// Tokenizers on disk, in tiktoken's text format with two files of JSON beside it:
//
//     T.tiktoken            a line a token: base64 of its bytes, a space, its id in decimal
//     T.json                {"name", "pattern", "special_tokens": {text: id}, "n_vocab", "n_mergeable", "bos", "bos_id"}
//     T.token_bytes.json    [n_vocab] what an id counts for in bits per byte (Tokenizer::token_bytes); written for other programs

#include <filesystem>

#include "data/tokenizer.h"

namespace kappa {

/// Reads T.tiktoken and, where it exists, T.json; `path` is T or T.tiktoken. Without T.json the pattern and the special tokens
/// are the paper's, which `notice`, if given, is told in one line. Lines may come in any order, ids must be 0, 1, … without a
/// gap; special ids follow them without a gap. Throws InputError naming file and line, or file and key.
Tokenizer load_tokenizer(const std::filesystem::path& path, std::string* notice = nullptr);

/// Writes the three files; `path` is T or T.tiktoken.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& path);

}  // namespace kappa
