#pragma once
// Byte-pair encoding of one piece (spec/evaluation.md §3.4): start from single bytes; as long as two neighbours together are a
// token, merge the pair whose token has the lowest id, the leftmost of equals.
//
// The rule speaks of bytes, the table of pairs of ids: while a piece is merged all its parts are tokens, so "left's bytes
// followed by right's bytes are token t" is a fact about (left, right), found once for all ways to cut t into two tokens.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

/// From bytes to the id of the token that they are. A hash table with open addressing; it holds ids, not bytes.
class TokenIndex {
 public:
  /// `tokens`: bytes by id, distinct. Every call of find() must be given the same.
  explicit TokenIndex(const std::vector<std::string>& tokens);
  /// The id, or −1.
  int32_t find(const std::vector<std::string>& tokens, std::string_view bytes) const;

 private:
  struct Slot {
    uint32_t tag = 0;  // high bits of the hash, to save most comparisons
    int32_t id = -1;
  };
  std::vector<Slot> slots_;  // a power of two, at most half full
};

class BpeMerger {
 public:
  BpeMerger(const std::vector<std::string>& tokens, const TokenIndex& index);

  /// Appends the ids of `piece`. O(n²) with a small constant for short pieces, O(n log n) for long ones; the same result.
  void merge(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  static constexpr int32_t no_token = INT32_MAX;  // sorts after every id
  struct Slot {
    int32_t left = -1, right = -1, merged = no_token;
  };

  int32_t merged(int32_t left, int32_t right) const;
  size_t slot_of(int32_t left, int32_t right) const;
  void merge_short(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_long(std::string_view piece, std::vector<int32_t>& ids) const;

  int32_t byte_ids_[256];
  std::vector<Slot> slots_;  // a power of two, at most half full
};

}  // namespace kappa
