#pragma once
// From the configuration's data section to token batches: the tokenizer, read or trained, and both splits of the text.
//
// Where long documents are split (data.long_documents), both splits are tokenised and kept in memory; the one to learn from may
// take a quarter of it. Otherwise the text to learn from is read and tokenised while it is used, by data.workers threads, and
// what is held out is evaluated in one of two ways:
//
//     the last of Parquet shards      packed rows from its beginning, anew each time: train.eval_tokens of them, as in the paper
//     a share, a file, or the last    documents up to train.eval_tokens, kept in memory, every token of them once
//       of JSON Lines shards

#include <filesystem>
#include <functional>
#include <memory>

#include "data/token_loader.h"
#include "train/run_folder.h"

namespace kappa {

struct TextFiles {
  Validation validation;
  std::vector<std::filesystem::path> training, held_out;
};

/// What data.path and data.validation name. Throws InputError naming the key.
TextFiles find_text(const RunConfig& config);

struct TextSource {
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<int32_t> token_bytes;                  // [V]
  TokenCorpus training, validation;                  // what is in memory
  std::unique_ptr<SegmentStream> stream;             // what is not, of the training split
  std::vector<std::filesystem::path> packed_shards;  // and of the other

  /// May be called once.
  PackedLoader training_loader(const RunConfig& config);
  /// From the beginning.
  BatchSequence validation_batches(const RunConfig& config) const;
  /// Leaves the tokenizer in a run's folder, unless the run that goes on there has left it.
  void keep_tokenizer(const RunFolder& folder) const;
};

/// Reads what is in memory, and the beginning of what is not. The tokenizer is the one in `folder` if the run that goes on
/// there has left it, else data.tokenizer, else one trained on tokenizer.train_from or the training split. `say` gets a line
/// about what takes time. Throws InputError for files that are not there or hold nothing or too much, for ids beyond
/// model.vocab_size, and where it is not clear what is held out.
TextSource open_text(const RunConfig& config, const RunFolder& folder, const std::function<void(const std::string&)>& say);

}  // namespace kappa
