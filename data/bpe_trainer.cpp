#include "data/bpe_trainer.h"

#include <optional>
#include <queue>

#include "engine/core/error.h"

namespace kappa {
namespace {

/// (left, right) as one number that sorts like the pair.
constexpr uint64_t pair_key(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }
constexpr int32_t left_of(uint64_t pair) { return int32_t(pair >> 32); }
constexpr int32_t right_of(uint64_t pair) { return int32_t(pair & 0xFFFFFFFF); }

/// A pair of neighbouring tokens.
struct Pair {
  uint64_t key = 0;
  int64_t count = 0;  // Σ over words of the word's count, for every place where the pair stands, overlapping or not
  std::vector<int32_t> words = {};  // all that hold it, and some that did; in the order in which they were met
};

/// All pairs that ever were. A hash table with open addressing of places in a vector.
class Pairs {
 public:
  /// A pair, made if it is new. Valid until the next call.
  Pair& at(uint64_t key) {
    if (2 * (pairs_.size() + 1) > places_.size()) grow();
    const size_t slot = slot_of(key);
    if (places_[slot] < 0) {
      places_[slot] = int32_t(pairs_.size());
      pairs_.push_back({.key = key});
    }
    return pairs_[size_t(places_[slot])];
  }
  size_t size() const { return pairs_.size(); }
  const Pair& operator[](size_t place) const { return pairs_[place]; }

 private:
  size_t slot_of(uint64_t key) const {
    const uint64_t mixed = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15u;
    size_t slot = (mixed >> 20) & (places_.size() - 1);
    while (places_[slot] >= 0 && pairs_[size_t(places_[slot])].key != key) slot = (slot + 1) & (places_.size() - 1);
    return slot;
  }
  void grow() {
    places_.assign(std::max<size_t>(1024, 2 * places_.size()), -1);
    for (size_t i = 0; i < pairs_.size(); ++i) places_[slot_of(pairs_[i].key)] = int32_t(i);
  }

  std::vector<int32_t> places_;  // in pairs_, −1 where there is none; a power of two, at most half full
  std::vector<Pair> pairs_;
};

/// Distinct pieces as sequences of tokens, and the pairs of neighbours in them.
///
/// A merge makes pairs only with the token that it makes, so from then on a pair's count can only fall and the set of words that
/// may hold it cannot grow. That is why a heap of counts as they once were is enough: a count that has fallen is put back as it
/// is now.
class Merger {
 public:
  explicit Merger(const PieceCounts& pieces) {
    size_t bytes_in_all = 0;
    pieces.for_each([&](std::string_view bytes, int64_t) { bytes_in_all += bytes.size(); });
    tokens_.reserve(bytes_in_all), words_.reserve(pieces.size());
    pieces.for_each([&](std::string_view bytes, int64_t count) {
      const size_t begin = tokens_.size();
      for (const char byte : bytes) tokens_.push_back(uint8_t(byte));
      words_.push_back({begin, bytes.size(), count});
      for (size_t i = begin; i + 1 < tokens_.size(); ++i) add(pair_key(tokens_[i], tokens_[i + 1]), int32_t(words_.size() - 1));
    });
    push_new_pairs();
  }

  /// Makes the best pair the token `id` everywhere and returns it; nothing if no pair is left.
  std::optional<uint64_t> merge_best(int32_t id) {
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      Pair& pair = pairs_.at(best.pair);
      if (pair.count != best.count) {
        if (pair.count > 0) heap_.push({pair.count, best.pair});
        continue;
      }
      const std::vector<int32_t> words = std::move(pair.words);
      for (const int32_t word : words) merge_in(word, best.pair, id);
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
  struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;  // the heap's top is the greatest
    }
  };

  void add(uint64_t key, int32_t word) {
    Pair& pair = pairs_.at(key);
    pair.count += words_[size_t(word)].count;
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  }

  void remove(uint64_t key, int32_t word) { pairs_.at(key).count -= words_[size_t(word)].count; }

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

  /// Pairs that were made since the heap was last told. What is made during one merge holds its token, so none of it is old.
  void push_new_pairs() {
    for (; told_ < pairs_.size(); ++told_)
      if (const Pair& pair = pairs_[told_]; pair.count > 0) heap_.push({pair.count, pair.key});
  }

  std::vector<int32_t> tokens_;
  std::vector<Word> words_;
  Pairs pairs_;
  size_t told_ = 0;
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

PieceCounts count_pieces(DocumentReader& reader, const SplitPattern& pattern, const TextLimits& limits,
                         const CountProgress& progress) {
  constexpr size_t batch = size_t{16} << 20;
  PieceCounts pieces(pattern);
  std::vector<std::string> texts;
  size_t size = 0;                                     // of texts
  int64_t bytes = 0, characters = 0, of_document = 0;  // so far
  const auto count = [&] {
    pieces.add(texts);
    bytes += int64_t(size);
    texts.clear(), size = 0;
    if (progress) progress(bytes, characters);
  };
  for (std::string text; (characters <= limits.total || of_document > 0) && reader.next(text);) {
    const int64_t added = crop(text, limits.document - of_document);
    characters += added;
    of_document = reader.continues() ? of_document + added : 0;
    size += text.size();
    texts.push_back(std::move(text));
    if (size >= batch) count();
  }
  count();
  return pieces;
}

int64_t smallest_vocabulary() { return 256 + int64_t(paper_specials(256).size()); }

Vocabulary train_bpe(const PieceCounts& pieces, int64_t size, const TrainProgress& progress) {
  require(size >= smallest_vocabulary(), "vocabulary size: expected at least {}, the 256 bytes and the special tokens, found {}",
          smallest_vocabulary(), size);
  require(size <= largest_vocabulary, "vocabulary size: expected at most {}, found {}", largest_vocabulary, size);
  Vocabulary vocabulary{.pattern = &pieces.pattern()};
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.emplace_back(1, char(byte));

  Merger merger(pieces);
  const int64_t total = size - smallest_vocabulary();
  for (int64_t done = 0; done < total; ++done) {
    const auto pair = merger.merge_best(int32_t(vocabulary.tokens.size()));
    if (!pair) break;
    vocabulary.tokens.push_back(vocabulary.tokens[size_t(left_of(*pair))] + vocabulary.tokens[size_t(right_of(*pair))]);
    if (progress) progress(done + 1, total);
  }
  vocabulary.specials = paper_specials(vocabulary.tokens.size());
  vocabulary.bos = vocabulary.specials.front().text;
  return vocabulary;
}

Vocabulary train_bpe(std::span<const std::string> texts, int64_t size, const TrainProgress& progress) {
  PieceCounts pieces(paper_pattern());
  pieces.add(texts);
  return train_bpe(pieces, size, progress);
}

}  // namespace kappa
