#pragma once
// From the configuration's data section to token batches: the tokenizer, read or trained, and both splits of the text.

#include <filesystem>
#include <functional>
#include <memory>

#include "data/token_loader.h"
#include "train/config.h"

namespace kappa {

struct TextSource {
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<int32_t> token_bytes;  // [V]
  TokenCorpus training, validation;

  PackedLoader training_loader(const RunConfig& config) const;
  WindowLoader validation_loader(const RunConfig& config) const;
  /// Leaves the tokenizer in a run's folder, unless one is there.
  void keep_tokenizer(const std::filesystem::path& folder) const;
};

/// Reads the texts. The tokenizer is the one in `folder` if a run has left one there, else data.tokenizer, else one trained on
/// tokenizer.train_from or the training split. `say` gets a line about what takes time. Throws InputError
/// for files that are not there or hold nothing, for ids beyond model.vocab_size, and without data.validation.
TextSource open_text(const RunConfig& config, const std::filesystem::path& folder,
                     const std::function<void(const std::string&)>& say);

}  // namespace kappa
