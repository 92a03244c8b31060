#pragma once
// Byte-pair encoding of one piece (spec/evaluation.md §3.4): start from single bytes; as long as two neighbours together are a
// token, merge the pair whose token has the lowest id, the leftmost of equals. The ids are what that rule gives; the work is
// linear in the piece's length, which following the rule is not.
//
// Why it can be. Where no merge crosses a border in the text, both sides merge as if each were alone. So
//   - a token comes about in one way only, whatever stands around it, or never: as its bytes alone are merged;
//   - a sequence of such tokens is the encoding of its bytes if and only if every two neighbours are that of theirs (are
//     *compatible*): the first merge across a border would happen in the two alone as well;
//   - a beginning of an encoding is the encoding of its bytes, so for every place in the piece there is one sequence that leads
//     to it.
// The search takes the longest token that is compatible with the one before, goes back where there is none, and marks that place,
// so that it comes to every place once.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/byte_trie.h"
#include "data/tokenizer/pair_memo.h"

namespace kappa {

class BpeEncoder {
 public:
  /// `tokens`: bytes by id, distinct, empty where an id is no token; all single bytes are among them.
  explicit BpeEncoder(const std::vector<std::string>& tokens);

  /// Appends the ids of `piece`, which is not empty. If all of it is a token, that is its id, even if no merges lead to it.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

  /// The two tokens whose merge makes `id`; {−1, −1} for a single byte, and for a token to which no merges lead.
  struct Split {
    int32_t left = -1, right = -1;
  };
  Split split(int32_t id) const { return tokens_[size_t(id)].split; }
  /// Whether merges lead to this token.
  bool is_reachable(int32_t id) const { return tokens_[size_t(id)].length > 0; }

 private:
  static constexpr int32_t none = -1, never = INT32_MAX;

  struct Token {
    Split split = {};
    int32_t length = 0;  // bytes; 0 if it is not reachable
  };
  struct Candidate {     // a reachable token that could be the next one
    int32_t id, length;  // 0 bytes: there is none
  };
  class Candidates;

  static size_t pair_of(uint8_t first, uint8_t second) { return size_t{first} << 8 | second; }
  std::vector<int32_t> follow_the_rule(std::string_view bytes, Split* last_merge = nullptr) const;
  void find_splits(const std::vector<std::string>& tokens);
  bool find_split(std::string_view bytes, int32_t id);
  void add(int32_t id, size_t length, Split split);
  void find_prefixes(const std::vector<std::string>& tokens);
  size_t place_of(int32_t left, int32_t right) const;
  int32_t merged(int32_t left, int32_t right) const;
  bool are_compatible(int32_t left, int32_t right, int32_t limit = never) const;
  bool are_compatible_by_rule(int32_t left, int32_t right, std::string_view text) const;
  Candidate longest_at(std::string_view text) const;
  void search(std::string_view piece, Candidate first, std::vector<int32_t>& ids) const;

  // What is asked for most is kept small, so that it stays in the nearer caches.
  ByteTrie trie_;
  std::vector<ByteTrie::Node> after_two_;  // by pair_of two bytes: where they lead from the root, or none
  std::vector<Candidate> longest_;         // by node of the trie: the longest reachable token on the way to it
  std::vector<Candidate> shorter_;         // by id: the longest reachable token that is a proper prefix of it
  std::vector<Token> tokens_;              // by id
  std::vector<int32_t> merges_;  // tokens by their split: a hash table with open addressing, a power of two, at most half full
  std::vector<uint64_t> hints_;  // 16 bits a place of merges_, set by the splits' hashes: most pairs that are asked for are none
  PairMemo compatible_;
  size_t longest_length_ = 0;  // bytes, of all tokens
  bool ascending_ = true;      // every token's id is greater than those of the tokens it is merged from
};

}  // namespace kappa
