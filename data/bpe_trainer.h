#pragma once
// Learning the tokens of byte-pair encoding from text (spec/evaluation.md §3.5): start from the 256 single bytes; again and
// again, the most frequent pair of neighbouring tokens inside the pieces becomes a token. Of equally frequent pairs, the one with
// the smallest (left id, right id).

#include <functional>
#include <limits>
#include <span>
#include <unordered_map>

#include "data/documents.h"
#include "data/vocabulary.h"

namespace kappa {

/// How often each piece of the pattern occurs in some texts. Texts can be added bit by bit, so they need never be in memory
/// together.
class PieceCounts {
 public:
  explicit PieceCounts(const SplitPattern& pattern) : pattern_(&pattern) {}
  /// Counts the pieces of every text, by all threads.
  void add(std::span<const std::string> texts);

  const SplitPattern& pattern() const { return *pattern_; }
  const std::unordered_map<std::string, int64_t>& counts() const { return counts_; }

 private:
  const SplitPattern* pattern_;
  std::unordered_map<std::string, int64_t> counts_;
};

/// How much text to learn from, in characters (code points).
struct TextLimits {
  int64_t document = std::numeric_limits<int64_t>::max();  // what a document has beyond is left out
  int64_t total = std::numeric_limits<int64_t>::max();     // the document with which the sum exceeds it is the last
};

/// Counts the pieces of what is left in `reader`.
PieceCounts count_pieces(DocumentReader& reader, const SplitPattern& pattern, const TextLimits& limits = {});

/// Told after every merge how many are done, and of how many.
using TrainProgress = std::function<void(int64_t done, int64_t total)>;

/// The size of the vocabulary that has merged nothing: the 256 bytes and the paper's special tokens.
int64_t smallest_vocabulary();

/// The vocabulary of `size` ids, the paper's nine special tokens among them; fewer if there are no more pairs. The same for the
/// same counts, whatever their order. Throws InputError if `size` is less than the smallest.
Vocabulary train_bpe(const PieceCounts& pieces, int64_t size, const TrainProgress& progress = {});

/// The same from texts in memory, with the paper's pattern.
Vocabulary train_bpe(std::span<const std::string> texts, int64_t size, const TrainProgress& progress = {});

}  // namespace kappa
