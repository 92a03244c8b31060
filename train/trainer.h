#pragma once
// A training run from beginning to end: text, model, steps, validation, checkpoints, samples.

#include <filesystem>
#include <optional>
#include <string>

#include "train/config.h"

namespace kappa {

/// Why train() would not begin, as far as is known before it reads any text; writes nothing.
std::optional<std::string> refusal(const RunConfig& config, const std::filesystem::path& run);

/// Trains in the folder `run`, from its newest checkpoint if it has one. SIGINT, SIGTERM, SIGHUP and SIGUSR1 save and return.
/// Throws InputError for a configuration or text that does not fit, RunError if a value is not finite.
void train(const RunConfig& config, const std::filesystem::path& run);

}  // namespace kappa
