#include "data/tokenizer/piece_counts.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

uint64_t PieceTable::hash(std::string_view piece) {
  // Multiply and fold, eight bytes at a time.
  constexpr uint64_t factor = 0x9E3779B97F4A7C15u;
  const auto mix = [](uint64_t x) { return (x ^ (x >> 32)) * factor; };
  uint64_t hash = piece.size() * factor, word = 0;
  for (; piece.size() > sizeof word; piece.remove_prefix(sizeof word)) {
    std::memcpy(&word, piece.data(), sizeof word);
    hash = mix(hash ^ word);
  }
  word = 0;
  std::memcpy(&word, piece.data(), piece.size());
  return mix(mix(hash ^ word));
}

PieceTable::Entry& PieceTable::at(std::string_view piece, uint32_t hash) {
  if (4 * (size_ + 1) > 3 * slots_.size()) grow();
  for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    Entry& entry = slots_[i];
    if (entry.count == 0) {
      require(piece.size() <= UINT32_MAX, "training text: a piece of {} bytes is too long", piece.size());
      ++size_;
      entry = {piece.data(), uint32_t(piece.size()), hash, 0};
      return entry;
    }
    if (entry.hash == hash && entry.piece() == piece) return entry;
  }
}

void PieceTable::grow() {
  std::vector<Entry> old(std::max<size_t>(64, 2 * slots_.size()));
  old.swap(slots_);
  for (const Entry& entry : old) {
    if (entry.count == 0) continue;
    size_t i = entry.hash & (slots_.size() - 1);
    while (slots_[i].count > 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = entry;
  }
}

std::string_view PieceCounts::Store::keep(std::string_view bytes) {
  constexpr size_t block = size_t{1} << 16;
  if (bytes.size() > left_) {
    left_ = std::max(block, bytes.size());
    next_ = blocks_.emplace_back(new char[left_]).get();
  }
  char* const kept = next_;
  std::memcpy(kept, bytes.data(), bytes.size());
  next_ += bytes.size(), left_ -= bytes.size();
  return {kept, bytes.size()};
}

PieceCounts::PieceCounts(const SplitPattern& pattern) : pattern_(&pattern), shards_(shard_count) {}

/// The texts, long ones cut to shares of work without changing their pieces.
static std::vector<std::string_view> shares_of(std::span<const std::string> texts) {
  constexpr size_t share = size_t{1} << 19;
  std::vector<std::string_view> shares;
  for (std::string_view text : texts) {
    for (size_t size = share; size < text.size();) {
      const size_t cut = last_sure_cut(text.substr(0, size));
      if (cut > 0) shares.push_back(text.substr(0, cut)), text.remove_prefix(cut);
      size = cut > 0 ? share : 2 * size;
    }
    shares.push_back(text);
  }
  return shares;
}

void PieceCounts::add(std::span<const std::string> texts) {
  const auto shares = shares_of(texts);
  std::vector<std::vector<PieceTable>> of_worker(static_cast<size_t>(threads()), std::vector<PieceTable>(shard_count));
  parallel_for(int64_t(shares.size()), [&](int64_t i, int worker) {
    auto& tables = of_worker[size_t(worker)];
    for_each_piece(*pattern_, shares[size_t(i)], [&](std::string_view piece) {
      const uint64_t hash = PieceTable::hash(piece);
      ++tables[shard_of(hash)].at(piece, uint32_t(hash)).count;
    });
  });
  parallel_for(int64_t(shard_count), [&](int64_t s) {
    auto& [table, store] = shards_[size_t(s)];
    for (const auto& tables : of_worker)
      tables[size_t(s)].for_each([&, &all = table, &bytes = store](const PieceTable::Entry& found) {
        PieceTable::Entry& entry = all.at(found.piece(), found.hash);
        if (entry.count == 0) entry.bytes = bytes.keep(found.piece()).data();
        entry.count += found.count;
      });
  });
}

size_t PieceCounts::size() const {
  size_t size = 0;
  for (const Shard& shard : shards_) size += shard.table.size();
  return size;
}

}  // namespace kappa
