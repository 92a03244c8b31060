#pragma once
// The words of a dictionary as a tree of bytes, held as a double array (Aoe 1989) in the form that needs one load a step: the
// child of node n for byte b, if there is one, is slot base(n) ^ b, and it is labelled b. No two nodes with children have the
// same base, so a slot that is labelled b cannot be another node's child for b.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kappa {

class ByteTrie {
 public:
  using Node = uint32_t;
  static constexpr Node root = 0, none = 0xFFFFFFFF;

  /// `words`: distinct, the frequent ones first, for speed; empty ones are left out. Throws InputError if they have more than 2²³
  /// prefixes or so.
  explicit ByteTrie(std::span<const std::string> words);

  /// Where `byte` leads from a node, or none.
  Node child(Node node, uint8_t byte) const {
    const uint32_t slot = (slots_[node] >> label_bits) ^ byte;
    return (slots_[slot] & label_mask) == byte ? slot : none;
  }
  /// Where all of `bytes` lead from the root, or none.
  Node find(std::string_view bytes) const;
  /// For each of the first places in `text`: the node to which the bytes from there lead, as far as they lead anywhere. All ways
  /// are gone at the same time and without a branch for each, in a third of the time of one after the other. `text` must go on
  /// for `together` bytes and those of the longest word.
  static constexpr size_t together = 32;
  std::array<Node, together> follow_all(std::string_view text) const;
  /// The word that ends at a node, by its place in `words`, or −1.
  int32_t word(Node node) const { return words_[node]; }
  /// All nodes are less.
  size_t node_limit() const { return slots_.size(); }

 private:
  static constexpr int label_bits = 9;
  static constexpr uint32_t label_mask = (1 << label_bits) - 1, no_label = 256;
  class Builder;

  std::vector<uint32_t> slots_;  // base and label
  std::vector<int32_t> words_;   // beside them
};

}  // namespace kappa
