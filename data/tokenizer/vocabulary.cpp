#include "data/tokenizer/vocabulary.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/core/utf8.h"

namespace kappa {

int64_t Vocabulary::size() const {
  const int64_t specials_end = specials.empty() ? 0 : int64_t{specials.back().id} + 1;
  return std::max(int64_t(tokens.size()), specials_end);
}

std::vector<Special> paper_specials(size_t first) {
  std::vector<Special> specials;
  for (const char* text : {"<|bos|>", "<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>",
                           "<|python_start|>", "<|python_end|>", "<|output_start|>", "<|output_end|>"})
    specials.push_back({text, int32_t(first + specials.size())});
  return specials;
}

static void check_specials(const Vocabulary& v, const std::string& where) {
  std::unordered_map<std::string_view, int32_t> ids;
  int64_t last = -1;
  for (const auto& [text, id] : v.specials) {
    require(!text.empty() && is_utf8(text), "{}: special token {}: expected text, found {}", where, id,
            text.empty() ? "nothing" : "bytes that are not UTF-8");
    require(id > last, "{}: the special token {} has the id {}, after another one with {}", where, printable(text), id, last);
    require(id >= int64_t(v.tokens.size()) || v.tokens[size_t(id)].empty(),
            "{}: the special token {} has the id {}, which is {}'s", where, printable(text), id,
            printable(v.tokens[size_t(id) % v.tokens.size()]));
    require(ids.emplace(text, id).second, "{}: the special token {} is there twice", where, printable(text));
    last = id;
  }
  require(v.bos.empty() || ids.contains(v.bos), "{}: the BOS {} is not one of the special tokens", where, printable(v.bos));
}

void check_vocabulary(const Vocabulary& v, const std::string& where) {
  require(v.pattern != nullptr, "{}: no split pattern", where);
  require(v.size() <= largest_vocabulary, "{}: expected at most {} ids, found {}", where, largest_vocabulary, v.size());
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.tokens[id].empty()) continue;
    const auto [first, is_new] = ids.emplace(v.tokens[id], id);
    require(is_new, "{}: tokens {} and {} are both {}", where, first->second, id, printable(v.tokens[id]));
  }
  for (int byte = 0; byte < 256; ++byte)
    require(ids.contains(std::string(1, char(byte))), "{}: no token for the single byte 0x{:02X}", where, byte);
  check_specials(v, where);
}

}  // namespace kappa
