#include "data/bpe_merge.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>

namespace kappa {

static size_t table_size(size_t entries) { return std::bit_ceil(std::max<size_t>(2 * entries, 16)); }

TokenIndex::TokenIndex(const std::vector<std::string>& tokens) : slots_(table_size(tokens.size())) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    const size_t hash = std::hash<std::string_view>{}(tokens[id]);
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].id >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {uint32_t(hash >> 32), int32_t(id)};
  }
}

int32_t TokenIndex::find(const std::vector<std::string>& tokens, std::string_view bytes) const {
  const size_t hash = std::hash<std::string_view>{}(bytes);
  for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[i];
    if (slot.id < 0 || (slot.tag == uint32_t(hash >> 32) && tokens[size_t(slot.id)] == bytes)) return slot.id;
  }
}

BpeMerger::BpeMerger(const std::vector<std::string>& tokens, const TokenIndex& index) {
  for (int byte = 0; byte < 256; ++byte) byte_ids_[byte] = index.find(tokens, std::string(1, char(byte)));
  struct Cut {
    int32_t left, right, merged;
  };
  std::vector<Cut> cuts;
  for (size_t id = 0; id < tokens.size(); ++id)
    for (size_t at = 1; at < tokens[id].size(); ++at) {
      const std::string_view bytes = tokens[id];
      const int32_t left = index.find(tokens, bytes.substr(0, at)), right = index.find(tokens, bytes.substr(at));
      if (left >= 0 && right >= 0) cuts.push_back({left, right, int32_t(id)});
    }
  slots_.resize(table_size(cuts.size()));
  for (const Cut& cut : cuts) slots_[slot_of(cut.left, cut.right)] = {cut.left, cut.right, cut.merged};
}

/// Where (left, right) is, or the empty slot where it belongs.
size_t BpeMerger::slot_of(int32_t left, int32_t right) const {
  const uint64_t hash = (uint64_t(uint32_t(left)) << 32 | uint32_t(right)) * 0x9E3779B97F4A7C15u;
  size_t i = (hash >> 32) & (slots_.size() - 1);
  while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right)) i = (i + 1) & (slots_.size() - 1);
  return i;
}

int32_t BpeMerger::merged(int32_t left, int32_t right) const { return slots_[slot_of(left, right)].merged; }

static constexpr size_t short_piece = 64;  // bytes; up to here scanning all pairs is faster than keeping a heap

void BpeMerger::merge(std::string_view piece, std::vector<int32_t>& ids) const {
  piece.size() <= short_piece ? merge_short(piece, ids) : merge_long(piece, ids);
}

void BpeMerger::merge_short(std::string_view piece, std::vector<int32_t>& ids) const {
  int32_t part[short_piece], with_next[short_piece];  // with_next[i]: the token that parts i and i + 1 are together
  size_t n = piece.size();
  for (size_t i = 0; i < n; ++i) part[i] = byte_ids_[uint8_t(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) with_next[i] = merged(part[i], part[i + 1]);
  while (n > 1) {
    const int32_t* best = std::min_element(with_next, with_next + n - 1);
    if (*best == no_token) break;
    const auto i = size_t(best - with_next);
    part[i] = *best;
    std::copy(part + i + 2, part + n, part + i + 1);
    --n;
    if (i + 1 < n) {
      std::copy(with_next + i + 2, with_next + n, with_next + i + 1);
      with_next[i] = merged(part[i], part[i + 1]);
    }
    if (i > 0) with_next[i - 1] = merged(part[i - 1], part[i]);
  }
  ids.insert(ids.end(), part, part + n);
}

void BpeMerger::merge_long(std::string_view piece, std::vector<int32_t>& ids) const {
  struct Part {
    int32_t id;             // −1 once it is merged into the one before it
    int32_t with_next;      // the token that it and the next one are together
    size_t previous, next;  // n: none
  };
  const size_t n = piece.size();
  std::vector<Part> parts(n);
  for (size_t i = 0; i < n; ++i) parts[i] = {byte_ids_[uint8_t(piece[i])], no_token, i == 0 ? n : i - 1, i + 1};

  using Candidate = std::pair<int32_t, size_t>;  // (token, where its left part begins): lowest token first, then leftmost
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto look = [&](size_t i) {
    Part& part = parts[i];
    part.with_next = part.next == n ? no_token : merged(part.id, parts[part.next].id);
    if (part.with_next != no_token) heap.emplace(part.with_next, i);
  };
  for (size_t i = 0; i < n; ++i) look(i);

  while (!heap.empty()) {
    const auto [token, i] = heap.top();
    heap.pop();
    Part& part = parts[i];
    if (part.id < 0 || part.with_next != token) continue;  // a neighbour has changed since
    Part& gone = parts[part.next];
    part.id = token;
    part.next = gone.next;
    gone.id = -1;
    if (part.next != n) parts[part.next].previous = i;
    look(i);
    if (part.previous != n) look(part.previous);
  }
  for (size_t i = 0; i != n; i = parts[i].next) ids.push_back(parts[i].id);
}

}  // namespace kappa
