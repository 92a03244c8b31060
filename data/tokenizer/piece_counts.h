#pragma once
// How often each piece of a split pattern occurs in some texts: all that training a tokenizer needs to know about them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/split.h"

namespace kappa {

/// Counts by piece: a hash table with open addressing that does not own the bytes.
class PieceTable {
 public:
  struct Entry {
    const char* bytes = nullptr;
    uint32_t size = 0, hash = 0;
    int64_t count = 0;  // 0: no entry

    std::string_view piece() const { return {bytes, size}; }
  };
  static uint64_t hash(std::string_view piece);

  /// The entry of a piece, made with count 0 if there is none; `hash` are the lower bits of its hash. The caller makes the count
  /// positive, and may let `bytes` point to the same bytes elsewhere. Valid until the next call.
  Entry& at(std::string_view piece, uint32_t hash);

  size_t size() const { return size_; }
  /// Calls body(entry) for all entries, in no particular order.
  template <class Body>
  void for_each(Body&& body) const {
    for (const Entry& entry : slots_)
      if (entry.count > 0) body(entry);
  }

 private:
  void grow();

  std::vector<Entry> slots_;  // a power of two, at most three quarters full
  size_t size_ = 0;
};

/// Texts can be added bit by bit, so they need never be in memory together.
class PieceCounts {
 public:
  explicit PieceCounts(const SplitPattern& pattern);

  /// Counts the pieces of every text, by all threads; also a single long text is shared among them.
  void add(std::span<const std::string> texts);

  const SplitPattern& pattern() const { return *pattern_; }
  /// How many different ones there are.
  size_t size() const;
  /// Calls body(piece, count) for all, in no particular order.
  template <class Body>
  void for_each(Body&& body) const {
    for (const Shard& shard : shards_)
      shard.table.for_each([&](const PieceTable::Entry& entry) { body(entry.piece(), entry.count); });
  }

 private:
  // A piece belongs to the shard that its hash says. Every thread counts into tables of its own, which are then added up shard by
  // shard, each by one thread.
  static constexpr size_t shard_count = 64;
  static size_t shard_of(uint64_t hash) { return hash >> 58; }

  /// Bytes that stay where they are.
  class Store {
   public:
    std::string_view keep(std::string_view bytes);

   private:
    std::vector<std::unique_ptr<char[]>> blocks_;
    size_t left_ = 0;  // in the last block
    char* next_ = nullptr;
  };
  struct Shard {
    PieceTable table;
    Store store;
  };

  const SplitPattern* pattern_;
  std::vector<Shard> shards_;
};

}  // namespace kappa
