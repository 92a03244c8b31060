#include "data/tokenizer/byte_trie.h"

#include <algorithm>
#include <bit>
#include <queue>

#include "engine/core/error.h"
#include "engine/core/wide.h"

namespace kappa {

/// Places the children of every node where all of them are free.
class ByteTrie::Builder {
 public:
  Builder(ByteTrie& trie, std::span<const std::string> words) : trie_(trie), words_(words) {
    for (size_t i = 0; i < words.size(); ++i)
      if (!words[i].empty()) order_.push_back(int32_t(i));
    std::ranges::sort(order_, {}, [&](int32_t i) -> const std::string& { return words[size_t(i)]; });
    add_block();
    base_used_[no_children] = true;
    take(root, root_label);
    open({root, 0, order_.size(), 0});
    while (!open_.empty()) {
      const Subtree subtree = open_.top();
      open_.pop();
      place_children(subtree);
    }
  }

 private:
  // A base that is no node's with children. A slot can be labelled s ^ base only by a child of that base, so nothing is found.
  static constexpr uint32_t no_children = 0, root_label = no_label + 1;

  struct Subtree {  // the words order_[begin, end), whose first `depth` bytes lead to the node
    Node node;
    size_t begin, end, depth;
    int32_t first = 0;  // the lowest of them
    bool operator<(const Subtree& other) const { return first > other.first; }
  };
  struct Group {  // those that go on with one byte
    uint8_t byte;
    size_t begin, end;
  };

  bool is_free(uint32_t slot) const { return (free_[slot / 64] >> (slot % 64) & 1) != 0; }

  /// From now on `slot` is a node with this label.
  void take(uint32_t slot, uint32_t label) {
    trie_.slots_[slot] = label;
    free_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
  }

  void add_block() {
    const size_t size = trie_.slots_.size() + 256;
    require(size <= size_t{1} << (32 - label_bits), "vocabulary: the tokens have more than {} prefixes", 1 << (32 - label_bits));
    trie_.slots_.resize(size, no_label);
    trie_.words_.resize(size, -1);
    base_used_.resize(size, false);
    free_.resize(size / 64, ~uint64_t{0});
  }

  /// A base from which all the groups' slots are free: the first one in the last few blocks of 256, so that a full beginning
  /// costs no time.
  uint32_t find_base(const std::vector<Group>& groups) {
    constexpr size_t words_looked_at = 16 * 256 / 64;
    const size_t size = trie_.slots_.size();
    first_word_ = std::max(first_word_, free_.size() - std::min(free_.size(), words_looked_at));
    while (first_word_ < free_.size() && free_[first_word_] == 0) ++first_word_;
    for (size_t word = first_word_; word < free_.size(); ++word)
      for (uint64_t bits = free_[word]; bits != 0; bits &= bits - 1) {
        const uint32_t base = uint32_t(64 * word + size_t(std::countr_zero(bits))) ^ groups[0].byte;
        if (!base_used_[base] && std::ranges::all_of(groups, [&](const Group& g) { return is_free(base ^ g.byte); })) return base;
      }
    add_block();
    return uint32_t(size);
  }

  void open(Subtree subtree) {
    if (subtree.begin == subtree.end) return;
    subtree.first = *std::min_element(order_.begin() + ptrdiff_t(subtree.begin), order_.begin() + ptrdiff_t(subtree.end));
    open_.push(subtree);
  }

  void place_children(const Subtree& subtree) {
    auto [node, begin, end, depth, first] = subtree;
    if (words_[size_t(order_[begin])].size() == depth) trie_.words_[node] = order_[begin++];
    groups_.clear();
    for (; begin < end; begin = groups_.back().end) {
      const auto byte = [&, d = depth](size_t i) { return uint8_t(words_[size_t(order_[i])][d]); };
      Group group{byte(begin), begin, begin + 1};
      while (group.end < end && byte(group.end) == group.byte) ++group.end;
      groups_.push_back(group);
    }
    if (groups_.empty()) return;
    const uint32_t base = find_base(groups_);
    base_used_[base] = true;
    trie_.slots_[node] |= base << label_bits;
    for (const Group& g : groups_) {
      take(base ^ g.byte, g.byte);
      open({base ^ g.byte, g.begin, g.end, depth + 1});
    }
  }

  ByteTrie& trie_;
  std::span<const std::string> words_;
  std::vector<int32_t> order_;  // of the words, sorted
  std::vector<bool> base_used_;
  std::vector<uint64_t> free_;         // a bit a slot
  size_t first_word_ = 0;              // of free_ in which one is looked for
  std::priority_queue<Subtree> open_;  // whose children have no place yet; nodes on the way to low words come to lie together
  std::vector<Group> groups_;
};

ByteTrie::ByteTrie(std::span<const std::string> words) { Builder(*this, words); }

ByteTrie::Node ByteTrie::find(std::string_view bytes) const {
  Node node = root;
  for (size_t i = 0; i < bytes.size() && node != none; ++i) node = child(node, uint8_t(bytes[i]));
  return node;
}

// Where a way has come to its end, its lane goes on from a base of 0: to slots that are there, all within the nearest cache.
KAPPA_WIDE static void follow_lanes(const uint32_t* slots, int label_bits, const char* text, ByteTrie::Node* __restrict nodes) {
  constexpr size_t lanes = ByteTrie::together;
  const uint32_t all = ~uint32_t{0}, label_mask = ~(all << label_bits), root_base = slots[ByteTrie::root] >> label_bits;
  uint32_t slot_of[lanes], goes_on[lanes];
  for (size_t l = 0; l < lanes; ++l) {
    nodes[l] = root_base ^ uint8_t(text[l]);
    slot_of[l] = slots[nodes[l]];
    goes_on[l] = (slot_of[l] & label_mask) == uint8_t(text[l]) ? all : 0;
    nodes[l] = goes_on[l] ? nodes[l] : ByteTrie::root;
  }
  for (uint32_t any = 1, depth = 1; any != 0; ++depth) {
    any = 0;
    for (size_t l = 0; l < lanes; ++l) {
      const uint32_t byte = uint8_t(text[l + depth]), child = (slot_of[l] >> label_bits) ^ byte;
      goes_on[l] &= (slots[child] & label_mask) == byte ? all : 0;
      slot_of[l] = slots[child] & goes_on[l];
      nodes[l] = goes_on[l] ? child : nodes[l];
      any |= goes_on[l];
    }
  }
}

std::array<ByteTrie::Node, ByteTrie::together> ByteTrie::follow_all(std::string_view text) const {
  std::array<Node, together> nodes;
  follow_lanes(slots_.data(), label_bits, text.data(), nodes.data());
  return nodes;
}

}  // namespace kappa
