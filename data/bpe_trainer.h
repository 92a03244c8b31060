#pragma once
// Learning the tokens of byte-pair encoding from text (spec/evaluation.md §3.5): start from the 256 single bytes; again and
// again, the most frequent pair of neighbouring tokens inside the pieces becomes a token. Of equally frequent pairs, the one with
// the smallest (left id, right id).

#include <functional>
#include <limits>
#include <span>

#include "data/documents.h"
#include "data/tokenizer/piece_counts.h"
#include "data/tokenizer/vocabulary.h"

namespace kappa {

/// How much text to learn from, in characters (code points).
struct TextLimits {
  int64_t document = std::numeric_limits<int64_t>::max();  // what a document has beyond is left out
  int64_t total = std::numeric_limits<int64_t>::max();     // the document with which the sum exceeds it is the last
};

/// Told again and again how much text was counted, in bytes and in characters within the limits.
using CountProgress = std::function<void(int64_t bytes, int64_t characters)>;

/// Counts the pieces of what is left in `reader`. In memory are the different pieces and some 16 MiB of text; of a single line
/// without white space, all of it.
PieceCounts count_pieces(DocumentReader& reader, const SplitPattern& pattern, const TextLimits& limits = {},
                         const CountProgress& progress = {});

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
