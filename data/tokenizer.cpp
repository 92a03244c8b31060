#include "data/tokenizer.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/device/thread_pool.h"

namespace kappa {

static Vocabulary checked(Vocabulary vocabulary) {
  check_vocabulary(vocabulary, "vocabulary");
  return vocabulary;
}

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(checked(std::move(vocabulary))), encoder_(vocabulary_.tokens) {}

int32_t Tokenizer::bos_id() const {
  require(!vocabulary_.bos.empty(), "tokenizer {}: no special token begins a document", vocabulary_.name);
  return *special_id(vocabulary_.bos);
}

std::optional<int32_t> Tokenizer::special_id(std::string_view text) const {
  const auto found = std::ranges::find(vocabulary_.specials, text, &Special::text);
  if (found == vocabulary_.specials.end()) return std::nullopt;
  return found->id;
}

std::string_view Tokenizer::token(int64_t id) const {
  require(id >= 0 && id < size(), "token id: expected 0 to {}, found {}", size() - 1, id);
  const auto& tokens = vocabulary_.tokens;
  const auto& specials = vocabulary_.specials;
  if (size_t(id) < tokens.size() && !tokens[size_t(id)].empty()) return tokens[size_t(id)];
  const auto special = std::ranges::lower_bound(specials, id, {}, &Special::id);
  require(special != specials.end() && special->id == id, "token id: {} is no token's", id);
  return special->text;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  encode(text, ids);
  return ids;
}

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  for_each_piece(*vocabulary_.pattern, text, [&](std::string_view piece) { encoder_.encode(piece, ids); });
}

/// The longest special token with whose text `text` begins, or nullptr.
const Special* Tokenizer::special_at(std::string_view text) const {
  const Special* longest = nullptr;
  for (const Special& special : vocabulary_.specials)
    if (text.starts_with(special.text) && (longest == nullptr || special.text.size() > longest->text.size())) longest = &special;
  return longest;
}

void Tokenizer::encode_with_specials(std::string_view text, std::vector<int32_t>& ids) const {
  std::string first_bytes;
  for (const Special& special : vocabulary_.specials)
    if (first_bytes.find(special.text[0]) == first_bytes.npos) first_bytes += special.text[0];
  size_t begin = 0;  // of what is not yet encoded
  for (size_t at = text.find_first_of(first_bytes); at < text.size(); at = text.find_first_of(first_bytes, at)) {
    const Special* const special = special_at(text.substr(at));
    if (special == nullptr) {
      ++at;
      continue;
    }
    encode(text.substr(begin, at - begin), ids);
    ids.push_back(special->id);
    begin = at += special->text.size();
  }
  encode(text.substr(begin), ids);
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts, Specials specials) const {
  std::vector<std::vector<int32_t>> ids(texts.size());
  parallel_for(int64_t(texts.size()), [&](int64_t i) {
    const std::string& text = texts[size_t(i)];
    specials == Specials::as_text ? encode(text, ids[size_t(i)]) : encode_with_specials(text, ids[size_t(i)]);
  });
  return ids;
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids) const {
  std::string bytes;
  for (int32_t id : ids) bytes += token(id);
  return bytes;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const { return repair_utf8(decode_bytes(ids)).text; }

std::vector<int32_t> Tokenizer::token_bytes() const {
  std::vector<int32_t> lengths(static_cast<size_t>(size()));
  for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const std::string text = repair_utf8(vocabulary_.tokens[id]).text;
    if (!special_id(text)) lengths[id] = int32_t(text.size());
  }
  return lengths;
}

}  // namespace kappa
