#include "data/tokenizer.h"

#include <algorithm>

#include "data/utf8.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

static Vocabulary checked(Vocabulary vocabulary) {
  check_vocabulary(vocabulary, "vocabulary");
  return vocabulary;
}

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(checked(std::move(vocabulary))),
      index_(vocabulary_.tokens),
      merger_(vocabulary_.tokens, index_),
      bos_id_(*special_id(vocabulary_.bos)) {}

std::optional<int32_t> Tokenizer::special_id(std::string_view text) const {
  const auto& specials = vocabulary_.specials;
  const auto found = std::ranges::find(specials, text);
  if (found == specials.end()) return std::nullopt;
  return int32_t(vocabulary_.tokens.size() + size_t(found - specials.begin()));
}

std::string_view Tokenizer::token(int64_t id) const {
  require(id >= 0 && id < size(), "token id: expected 0 to {}, found {}", size() - 1, id);
  const size_t i = size_t(id), mergeable = vocabulary_.tokens.size();
  return i < mergeable ? vocabulary_.tokens[i] : vocabulary_.specials[i - mergeable];
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  encode(text, ids);
  return ids;
}

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  for_each_piece(*vocabulary_.pattern, text, [&](std::string_view piece) {
    // Most pieces are tokens; merging would give the same id.
    if (const int32_t id = index_.find(vocabulary_.tokens, piece); id >= 0)
      ids.push_back(id);
    else
      merger_.merge(piece, ids);
  });
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts) const {
  std::vector<std::vector<int32_t>> ids(texts.size());
  parallel_for(int64_t(texts.size()), [&](int64_t i) { encode(texts[size_t(i)], ids[size_t(i)]); });
  return ids;
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids) const {
  std::string bytes;
  for (int32_t id : ids) bytes += token(id);
  return bytes;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const { return repair_utf8(decode_bytes(ids)).text; }

std::vector<int32_t> Tokenizer::token_bytes() const {
  std::vector<int32_t> lengths;
  for (int64_t id = 0; id < size(); ++id) {
    const std::string text = repair_utf8(std::string(token(id))).text;
    lengths.push_back(special_id(text) ? 0 : int32_t(text.size()));
  }
  return lengths;
}

}  // namespace kappa
