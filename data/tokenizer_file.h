#pragma once
// Tokenizers on disk. Ours are three files, the first in tiktoken's text format:
//
//     T.tiktoken            a line a token: base64 of its bytes, a space, its id in decimal
//     T.json                {"name", "pattern", "special_tokens": {text: id}, "n_vocab", "n_mergeable", "bos", "bos_id"}
//     T.token_bytes.json    [n_vocab] what an id counts for in bits per byte (Tokenizer::token_bytes); written for other programs

#include <filesystem>

#include "data/tokenizer.h"

namespace kappa {

/// Reads, by what `path` is:
///   - T or T.tiktoken, and T.json where it exists. Without it the pattern and the special tokens are the paper's; `notice`, if
///     given, is told so in one line. Ids may have gaps.
///   - a tokenizer.json of Hugging Face, byte-level BPE; any name that ends with .json.
///   - a tiktoken Encoding pickled by Python, such as the paper's tokenizer.pkl; a name that ends with .pkl. Nothing is executed.
/// Throws InputError naming file and line, key or byte. No file may be larger than 64 MiB.
Tokenizer load_tokenizer(const std::filesystem::path& path, std::string* notice = nullptr);

/// The names of all files that may be there of a tokenizer T or T.tiktoken: the three, and Hugging Face's.
std::vector<std::filesystem::path> tokenizer_files(const std::filesystem::path& path);

/// Writes the three files; `path` is T or T.tiktoken.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& path);

/// Writes T.tokenizer.json, which Hugging Face's tokenizers load; `path` as above.
void save_for_hugging_face(const Tokenizer& tokenizer, const std::filesystem::path& path);

}  // namespace kappa
