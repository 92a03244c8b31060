#include "eval/model_files.h"

#include "engine/core/error.h"
#include "model/checkpoint_folder.h"

namespace kappa {

namespace fs = std::filesystem;

ModelFiles find_model_files(const fs::path& place, const fs::path& weights, const fs::path& tokenizer) {
  std::error_code ignored;
  require(fs::exists(place, ignored), "{}: expected a run's folder or a configuration file, found nothing", place.string());
  if (!fs::is_directory(place, ignored)) {
    require(!weights.empty(), "--weights: expected a safetensors file beside the configuration {}, found nothing",
            place.string());
    return {place, weights, tokenizer};
  }
  ModelFiles files{place / "config.yaml", weights, tokenizer};
  require(fs::exists(files.config, ignored), "{}: expected a run's folder, found no config.yaml in it", place.string());
  if (weights.empty()) {
    const auto checkpoint = newest_checkpoint(place / "checkpoints");
    require(checkpoint.has_value(), "{}: expected a checkpoint of the run, found none; --weights names other weights",
            (place / "checkpoints").string());
    files.weights = *checkpoint / weights_file;
  }
  if (const fs::path own = place / "tokenizer.tiktoken"; tokenizer.empty() && fs::exists(own, ignored)) files.tokenizer = own;
  return files;
}

}  // namespace kappa
