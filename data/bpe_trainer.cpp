#include "data/bpe_trainer.h"

#include <optional>
#include <queue>

#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {
namespace {

/// (left, right) as one number that sorts like the pair.
constexpr uint64_t pair_key(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }
constexpr int32_t left_of(uint64_t pair) { return int32_t(pair >> 32); }
constexpr int32_t right_of(uint64_t pair) { return int32_t(pair & 0xFFFFFFFF); }

/// Distinct pieces as sequences of tokens, and the pairs of neighbours in them.
///
/// A merge makes pairs only with the token that it makes, so from then on a pair's count can only fall and the set of words that
/// may hold it cannot grow. That is why a heap of counts as they once were is enough: a count that has fallen is put back as it
/// is now.
class Merger {
 public:
  explicit Merger(const PieceCounts& pieces) {
    for (const auto& [bytes, count] : pieces.counts()) {
      const size_t begin = tokens_.size();
      for (char byte : bytes) tokens_.push_back(uint8_t(byte));
      words_.push_back({begin, bytes.size(), count});
      for (size_t i = begin; i + 1 < tokens_.size(); ++i) add(pair_key(tokens_[i], tokens_[i + 1]), int32_t(words_.size() - 1));
    }
    push_new_pairs();
  }

  /// Makes the best pair the token `id` everywhere and returns it; nothing if no pair is left.
  std::optional<uint64_t> merge_best(int32_t id) {
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      const auto found = pairs_.find(best.pair);
      const int64_t count = found->second.count;
      if (count != best.count) {
        if (count > 0)
          heap_.push({count, best.pair});
        else
          pairs_.erase(found);
        continue;
      }
      const std::vector<int32_t> words = std::move(found->second.words);
      for (int32_t word : words) merge_in(word, best.pair, id);
      pairs_.erase(best.pair);
      push_new_pairs();
      return best.pair;
    }
    return std::nullopt;
  }

 private:
  struct Word {
    size_t begin, length;  // in tokens_
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;           // Σ over words of the word's count, for every place where the pair stands, overlapping or not
    std::vector<int32_t> words;  // all that hold it, ascending, and some that did
  };
  struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;  // the heap's top is the greatest
    }
  };

  void add(uint64_t pair, int32_t word) {
    const auto [found, is_new] = pairs_.try_emplace(pair);
    if (is_new) new_pairs_.push_back(pair);
    auto& [count, words] = found->second;
    count += words_[size_t(word)].count;
    if (words.empty() || words.back() != word) words.push_back(word);
  }

  void remove(uint64_t pair, int32_t word) { pairs_.find(pair)->second.count -= words_[size_t(word)].count; }

  /// Replaces the pair from left to right, non-overlapping, and keeps the counts of all pairs.
  void merge_in(int32_t index, uint64_t pair, int32_t id) {
    Word& word = words_[size_t(index)];
    int32_t* const t = tokens_.data() + word.begin;
    const int32_t left = left_of(pair), right = right_of(pair);
    size_t kept = 0;
    for (size_t i = 0; i < word.length;) {
      if (t[i] != left || i + 1 == word.length || t[i + 1] != right) {
        t[kept++] = t[i++];
        continue;
      }
      remove(pair, index);
      if (kept > 0) {
        remove(pair_key(t[kept - 1], left), index);
        add(pair_key(t[kept - 1], id), index);
      }
      if (i + 2 < word.length) {
        remove(pair_key(right, t[i + 2]), index);
        add(pair_key(id, t[i + 2]), index);
      }
      t[kept++] = id;
      i += 2;
    }
    word.length = kept;
  }

  void push_new_pairs() {
    for (uint64_t pair : new_pairs_)
      if (const int64_t count = pairs_.find(pair)->second.count; count > 0) heap_.push({count, pair});
    new_pairs_.clear();
  }

  std::vector<int32_t> tokens_;
  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::vector<uint64_t> new_pairs_;  // made since the heap was last told
  std::priority_queue<Candidate> heap_;
};

/// Cuts well-formed UTF-8 after `limit` characters and returns how many it has then.
int64_t crop(std::string& text, int64_t limit) {
  int64_t characters = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool begins_character = (uint8_t(text[at]) & 0xC0) != 0x80;
    if (begins_character && characters == limit) {
      text.resize(at);
      break;
    }
    characters += begins_character;
  }
  return characters;
}

}  // namespace

void PieceCounts::add(std::span<const std::string> texts) {
  std::vector<std::unordered_map<std::string_view, int64_t>> of_worker(static_cast<size_t>(threads()));
  parallel_for(int64_t(texts.size()), [&](int64_t text, int worker) {
    auto& counts = of_worker[size_t(worker)];
    for_each_piece(*pattern_, texts[size_t(text)], [&](std::string_view piece) { ++counts[piece]; });
  });
  for (const auto& counts : of_worker)
    for (const auto& [piece, count] : counts) counts_[std::string(piece)] += count;
}

PieceCounts count_pieces(DocumentReader& reader, const SplitPattern& pattern, const TextLimits& limits) {
  PieceCounts pieces(pattern);
  int64_t characters = 0;
  for (auto texts = read_batch(reader); !texts.empty() && characters <= limits.total; texts = read_batch(reader)) {
    size_t used = 0;
    while (used < texts.size() && characters <= limits.total) characters += crop(texts[used++], limits.document);
    pieces.add(std::span(texts).first(used));
  }
  return pieces;
}

int64_t smallest_vocabulary() { return 256 + int64_t(paper_specials().size()); }

Vocabulary train_bpe(const PieceCounts& pieces, int64_t size, const TrainProgress& progress) {
  Vocabulary vocabulary{.pattern = &pieces.pattern(), .specials = paper_specials(), .bos = paper_specials().front()};
  require(size >= smallest_vocabulary(), "vocabulary size: expected at least {}, the 256 bytes and {} special tokens, found {}",
          smallest_vocabulary(), vocabulary.specials.size(), size);
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.emplace_back(1, char(byte));

  Merger merger(pieces);
  const int64_t total = size - smallest_vocabulary();
  for (int64_t done = 0; done < total; ++done) {
    const auto pair = merger.merge_best(int32_t(vocabulary.tokens.size()));
    if (!pair) break;
    vocabulary.tokens.push_back(vocabulary.tokens[size_t(left_of(*pair))] + vocabulary.tokens[size_t(right_of(*pair))]);
    if (progress) progress(done + 1, total);
  }
  return vocabulary;
}

Vocabulary train_bpe(std::span<const std::string> texts, int64_t size, const TrainProgress& progress) {
  PieceCounts pieces(paper_pattern());
  pieces.add(texts);
  return train_bpe(pieces, size, progress);
}

}  // namespace kappa
