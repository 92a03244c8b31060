#pragma once
// Where a trained model's files are: in a run's folder, or named one by one.

#include <filesystem>

namespace kappa {

struct ModelFiles {
  std::filesystem::path config, weights;
  std::filesystem::path tokenizer;  // empty: there is none
};

/// `place` is a run's folder, which has all three (of its checkpoints the newest is taken), or a configuration file, which needs
/// `weights` beside it. `weights` and `tokenizer`, unless empty, go before those of the folder. Throws InputError naming what is
/// missing.
ModelFiles find_model_files(const std::filesystem::path& place, const std::filesystem::path& weights,
                            const std::filesystem::path& tokenizer);

}  // namespace kappa
