#include "data/tokenizer/bpe_encoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <queue>

namespace kappa {

BpeEncoder::BpeEncoder(const std::vector<std::string>& tokens)
    : trie_(tokens),
      after_two_(256 * 256, ByteTrie::none),
      longest_(trie_.node_limit()),
      shorter_(tokens.size()),
      tokens_(tokens.size()),
      compatible_(tokens.size()) {
  find_splits(tokens);
  find_prefixes(tokens);
}

/// The rule at its word, by a queue of all pairs; and the last merge that was made.
std::vector<int32_t> BpeEncoder::follow_the_rule(std::string_view bytes, Split* last_merge) const {
  struct Part {
    int32_t id;  // none once it is merged into the one before it
    int32_t with_next = never;
    size_t previous, end;  // where the part before it begins, and where it ends
  };
  const size_t n = bytes.size();
  const auto token_of = [&](size_t begin, size_t end) {
    const auto node = trie_.find(bytes.substr(begin, end - begin));
    return node == ByteTrie::none ? none : trie_.word(node);
  };
  std::vector<Part> parts(n);  // by where they begin
  for (size_t i = 0; i < n; ++i) parts[i] = {.id = token_of(i, i + 1), .previous = i == 0 ? n : i - 1, .end = i + 1};

  using Candidate = std::pair<int32_t, size_t>;  // (token, where it would begin): lowest token first, then leftmost
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto look = [&](size_t i) {
    const int32_t token = parts[i].end == n ? none : token_of(i, parts[parts[i].end].end);
    parts[i].with_next = token == none ? never : token;
    if (token != none) candidates.emplace(token, i);
  };
  for (size_t i = 0; i < n; ++i) look(i);
  while (!candidates.empty()) {
    const auto [token, i] = candidates.top();
    candidates.pop();
    Part& part = parts[i];
    if (part.id == none || part.with_next != token) continue;  // a neighbour has changed since
    Part& gone = parts[part.end];
    if (last_merge != nullptr) *last_merge = {part.id, gone.id};
    part.id = token;
    part.end = gone.end;
    gone.id = none;
    if (part.end != n) parts[part.end].previous = i;
    look(i);
    if (part.previous != n) look(part.previous);
  }
  std::vector<int32_t> ids;
  for (size_t i = 0; i != n; i = parts[i].end) ids.push_back(parts[i].id);
  return ids;
}

static uint64_t hash_of(int32_t left, int32_t right) {
  return (uint64_t(uint32_t(left)) << 32 | uint32_t(right)) * 0x9E3779B97F4A7C15u;
}

void BpeEncoder::add(int32_t id, size_t length, Split split) {
  tokens_[size_t(id)].length = int32_t(length);
  tokens_[size_t(id)].split = split;
  if (length == 1) return;
  merges_[place_of(split.left, split.right)] = id;
  const uint64_t hint = (hash_of(split.left, split.right) >> 28) & (64 * hints_.size() - 1);
  hints_[hint / 64] |= uint64_t{1} << (hint % 64);
}

/// What makes each token: for those of ascending ids, found from the lower ones; that leaves those to which no merges lead. Where
/// a token turns out to be made of later ones, everything is found from the rule itself.
void BpeEncoder::find_splits(const std::vector<std::string>& tokens) {
  merges_.assign(std::bit_ceil(2 * tokens.size() + 1), none);
  hints_.assign(merges_.size() * 16 / 64, 0);
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].size() == 1) add(int32_t(id), 1, {});
  std::vector<size_t> left_over;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].size() > 1 && !find_split(tokens[id], int32_t(id))) left_over.push_back(id);

  ascending_ = std::ranges::none_of(left_over, [&](size_t id) { return follow_the_rule(tokens[id]).size() == 1; });
  if (ascending_) return;
  std::ranges::fill(merges_, none);
  for (Token& token : tokens_)
    if (token.length > 1) token = {};
  for (size_t id = 0; id < tokens.size(); ++id)
    if (Split split; tokens[id].size() > 1 && follow_the_rule(tokens[id], &split).size() == 1)
      add(int32_t(id), tokens[id].size(), split);
}

/// The one cut of a token into two that are compatible as long as only lower ids are merged.
bool BpeEncoder::find_split(std::string_view bytes, int32_t id) {
  const auto is_earlier = [&](int32_t part) {
    return part != none && is_reachable(part) && (part < id || tokens_[size_t(part)].length == 1);
  };
  ByteTrie::Node node = ByteTrie::root;
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    node = trie_.child(node, uint8_t(bytes[cut - 1]));
    const int32_t left = trie_.word(node);
    if (!is_earlier(left)) continue;
    const auto end = trie_.find(bytes.substr(cut));
    const int32_t right = end == ByteTrie::none ? none : trie_.word(end);
    if (!is_earlier(right) || !are_compatible(left, right, id)) continue;
    add(id, bytes.size(), {left, right});
    return true;
  }
  return false;
}

/// What every node of the trie, and every token, begins with; and where two bytes lead.
void BpeEncoder::find_prefixes(const std::vector<std::string>& tokens) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    longest_length_ = std::max(longest_length_, token.size());
    if (token.size() >= 2) after_two_[pair_of(uint8_t(token[0]), uint8_t(token[1]))] = trie_.find(token.substr(0, 2));
    ByteTrie::Node node = ByteTrie::root;
    Candidate longest{};
    for (const char byte : token) {
      shorter_[id] = longest;
      node = trie_.child(node, uint8_t(byte));
      const int32_t word = trie_.word(node);
      if (word != none && is_reachable(word)) longest = {word, tokens_[size_t(word)].length};
      longest_[node] = longest;
    }
  }
}

/// Where the token is whose split is (left, right), or the empty place where it belongs.
size_t BpeEncoder::place_of(int32_t left, int32_t right) const {
  const auto is_it = [&](int32_t id) { return split(id).left == left && split(id).right == right; };
  size_t i = (hash_of(left, right) >> 32) & (merges_.size() - 1);
  while (merges_[i] != none && !is_it(merges_[i])) i = (i + 1) & (merges_.size() - 1);
  return i;
}

/// The token that two neighbours are merged to, or never.
int32_t BpeEncoder::merged(int32_t left, int32_t right) const {
  const uint64_t hint = (hash_of(left, right) >> 28) & (64 * hints_.size() - 1);
  if ((hints_[hint / 64] >> (hint % 64) & 1) == 0) return never;
  const int32_t id = merges_[place_of(left, right)];
  return id == none ? never : id;
}

/// Whether two tokens, each alone the encoding of its bytes, are together the encoding of theirs, as long as only ids below
/// `limit` are merged. Ids of merges ascend in time, so going back in time means to undo the greater of the two tokens at the
/// border, of equals the right one, which came later. Two parts that meet at the border until one of them is merged into `limit`
/// would themselves have been merged before if their token is lower.
bool BpeEncoder::are_compatible(int32_t left, int32_t right, int32_t limit) const {
  const auto born = [&](int32_t id) { return (id + 1) * int32_t(tokens_[size_t(id)].length != 1) - 1; };  // −1: a byte
  for (;;) {
    if (merged(left, right) < limit) return false;
    const int32_t inner_left = split(left).right, inner_right = split(right).left;
    const bool undo_left = born(left) > born(right);
    if (!undo_left && inner_right == none) return true;  // both are bytes
    // The same token across the border as the left one would be merged later: it lies to the right; as the right one, before.
    // Which of the two it is nobody can foresee, so it is chosen without a branch.
    limit = undo_left ? left : right + 1;
    left = undo_left ? inner_left : left;
    right = undo_left ? right : inner_right;
  }
}

/// The same, from the rule: `text` ends with the bytes of the two.
bool BpeEncoder::are_compatible_by_rule(int32_t left, int32_t right, std::string_view text) const {
  const size_t length = size_t(tokens_[size_t(left)].length) + size_t(tokens_[size_t(right)].length);
  return follow_the_rule(text.substr(text.size() - length)) == std::vector<int32_t>{left, right};
}

/// The longest reachable token with which a text begins that is not empty.
BpeEncoder::Candidate BpeEncoder::longest_at(std::string_view text) const {
  ByteTrie::Node node = trie_.child(ByteTrie::root, uint8_t(text[0]));
  if (text.size() == 1) return longest_[node];
  const auto pair = after_two_[pair_of(uint8_t(text[0]), uint8_t(text[1]))];
  if (pair == ByteTrie::none) return longest_[node];
  node = pair;
  for (const char byte : text.substr(2)) {
    const auto next = trie_.child(node, uint8_t(byte));
    if (next == ByteTrie::none) break;
    node = next;
  }
  return longest_[node];
}

/// The longest tokens at all places of a piece. Those at the next places do not hang on each other, nor on what is chosen of
/// them, so they are looked up together, ahead of their use.
class BpeEncoder::Candidates {
 public:
  Candidates(const BpeEncoder& encoder, std::string_view piece) : encoder_(encoder), piece_(piece) {}

  Candidate longest_at(size_t place) {
    const bool is_ahead = place >= end_ && piece_.size() - place >= ByteTrie::together + encoder_.longest_length_;
    if (is_ahead) look_ahead(place);
    if (place >= begin_ && place < end_) return found_[place - begin_];
    return encoder_.longest_at(piece_.substr(place));
  }

 private:
  void look_ahead(size_t place) {
    const auto nodes = encoder_.trie_.follow_all(piece_.substr(place));
    for (size_t i = 0; i < nodes.size(); ++i) found_[i] = encoder_.longest_[nodes[i]];
    begin_ = place;
    end_ = place + nodes.size();
  }

  const BpeEncoder& encoder_;
  std::string_view piece_;
  size_t begin_ = 0, end_ = 0;  // the places of found_
  std::array<Candidate, ByteTrie::together> found_;
};

void BpeEncoder::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  ByteTrie::Node node = ByteTrie::root;
  size_t n = 0;
  for (; n < piece.size(); ++n) {
    const auto next = trie_.child(node, uint8_t(piece[n]));
    if (next == ByteTrie::none) break;
    node = next;
  }
  const Candidate longest = longest_[node];
  if (n == piece.size() && size_t(longest.length) == n)
    ids.push_back(longest.id);
  else if (n == piece.size() && trie_.word(node) != none)
    ids.push_back(trie_.word(node));
  else
    search(piece, longest, ids);
}

void BpeEncoder::search(std::string_view piece, Candidate next, std::vector<int32_t>& ids) const {
  uint64_t few = 0;
  std::vector<uint64_t> many(piece.size() < 64 ? 0 : piece.size() / 64 + 1);
  uint64_t* const dead_ends = many.empty() ? &few : many.data();  // a bit a place
  const auto bit = [](size_t at) { return uint64_t{1} << (at % 64); };

  Candidates candidates(*this, piece);
  int32_t last = none;
  for (size_t at = 0; at < piece.size();) {
    for (; next.length != 0; next = shorter_[size_t(next.id)]) {
      const size_t end = at + size_t(next.length);
      if ((dead_ends[end / 64] & bit(end)) != 0) continue;
      const auto find_out = [&] {
        return ascending_ ? are_compatible(last, next.id) : are_compatible_by_rule(last, next.id, piece.substr(0, end));
      };
      if (last == none || compatible_.get(last, next.id, find_out)) break;
    }
    if (next.length != 0) {
      ids.push_back(last = next.id);
      at += size_t(next.length);
      if (at < piece.size()) next = candidates.longest_at(at);
    } else {
      dead_ends[at / 64] |= bit(at);
      at -= size_t(tokens_[size_t(last)].length);
      next = shorter_[size_t(last)];
      ids.pop_back();
      last = at == 0 ? none : ids.back();
    }
  }
}

}  // namespace kappa
