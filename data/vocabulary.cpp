#include "data/vocabulary.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {

const std::vector<std::string>& paper_specials() {
  static const std::vector<std::string> specials{"<|bos|>",           "<|user_start|>",   "<|user_end|>",   "<|assistant_start|>",
                                                 "<|assistant_end|>", "<|python_start|>", "<|python_end|>", "<|output_start|>",
                                                 "<|output_end|>"};
  return specials;
}

void check_vocabulary(const Vocabulary& v, const std::string& where) {
  require(v.pattern != nullptr, "{}: no split pattern", where);
  require(v.size() <= std::numeric_limits<int32_t>::max(), "{}: {} tokens are more than 32-bit ids can tell apart", where,
          v.size());
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    require(!v.tokens[id].empty(), "{}: token {} is empty", where, id);
    const auto [first, is_new] = ids.emplace(v.tokens[id], id);
    require(is_new, "{}: tokens {} and {} are both {}", where, first->second, id, printable(v.tokens[id]));
  }
  for (int byte = 0; byte < 256; ++byte)
    require(ids.contains(std::string(1, char(byte))), "{}: no token for the single byte 0x{:02X}", where, byte);
  for (size_t i = 0; i < v.specials.size(); ++i) {
    require(!v.specials[i].empty(), "{}: special token {} is empty", where, i);
    require(std::find(v.specials.begin(), v.specials.begin() + ptrdiff_t(i), v.specials[i]) == v.specials.begin() + ptrdiff_t(i),
            "{}: the special token {} is there twice", where, printable(v.specials[i]));
  }
  require(std::ranges::find(v.specials, v.bos) != v.specials.end(), "{}: the BOS {} is not one of the special tokens", where,
          printable(v.bos));
}

}  // namespace kappa
