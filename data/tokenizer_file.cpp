#include "data/tokenizer_file.h"

#include "data/strict_json.h"
#include "data/tokenizer/formats.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

constexpr int64_t largest_file = int64_t{64} << 20;

/// T.tiktoken and its companions.
struct Paths {
  fs::path tokens, description, token_bytes, hugging_face;

  explicit Paths(fs::path path) {
    if (path.extension() == ".tiktoken") path.replace_extension();
    const auto with = [&](const char* suffix) { return fs::path(path) += suffix; };
    tokens = with(".tiktoken"), description = with(".json"), token_bytes = with(".token_bytes.json");
    hugging_face = with(".tokenizer.json");
  }
};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Vocabulary load_tiktoken(const Paths& paths, std::string* notice) {
  Vocabulary vocabulary{.tokens = read_tiktoken(read_file(paths.tokens, largest_file), paths.tokens.string())};
  if (is_there(paths.description)) {
    check_vocabulary(vocabulary, paths.tokens.string());
    read_description(read_file(paths.description, largest_file), paths.description.string(), vocabulary);
    return vocabulary;
  }
  vocabulary.specials = paper_specials(vocabulary.tokens.size());
  vocabulary.bos = vocabulary.specials.front().text;
  check_vocabulary(vocabulary, paths.tokens.string());
  if (notice != nullptr)
    *notice = fmt::format("{} is missing: using the paper's split pattern and {} special tokens", paths.description.string(),
                          vocabulary.specials.size());
  return vocabulary;
}

Vocabulary load_vocabulary(const fs::path& path, std::string* notice) {
  if (path.extension() == ".pkl") return read_pickled_encoding(read_file(path, largest_file), path.string());
  if (path.extension() != ".json") {
    const Paths ours(path);
    require(is_there(ours.tokens) || !is_there(path),
            "{}: expected a tokenizer (T.tiktoken, a tokenizer.json of Hugging Face or a tiktoken .pkl), found another file",
            path.string());
    return load_tiktoken(ours, notice);
  }
  const std::string text = read_file(path, largest_file);
  const Paths ours(fs::path(path).replace_extension());
  if (is_there(ours.tokens) && !parse_object(text, path.string()).contains("model")) return load_tiktoken(ours, notice);
  return read_hugging_face(text, path.string());
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& path, std::string* notice) { return Tokenizer(load_vocabulary(path, notice)); }

std::vector<fs::path> tokenizer_files(const fs::path& path) {
  const Paths ours(path);
  return {ours.tokens, ours.description, ours.token_bytes, ours.hugging_face};
}

void save_tokenizer(const Tokenizer& tokenizer, const fs::path& path) {
  const Paths paths(path);
  // The tokens come last: where they are, the description is.
  write_file(paths.token_bytes, Json(tokenizer.token_bytes()).dump() + "\n");
  write_file(paths.description, write_description(tokenizer.vocabulary()));
  write_file(paths.tokens, write_tiktoken(tokenizer.vocabulary().tokens));
}

void save_for_hugging_face(const Tokenizer& tokenizer, const fs::path& path) {
  write_file(Paths(path).hugging_face, write_hugging_face(tokenizer.vocabulary(), tokenizer.encoder()));
}

}  // namespace kappa
