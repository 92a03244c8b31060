#pragma once
// The checkpoints of a run by their names: folders step_NNNNNN, each with the model's weights in model.safetensors.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace kappa {

constexpr const char* weights_file = "model.safetensors";

/// NNNNNN of a folder step_NNNNNN; none of another name.
std::optional<int64_t> checkpoint_step(const std::filesystem::path& checkpoint);

/// Whole checkpoints by their step, in ascending order. Others, still under another name, are not listed.
std::vector<std::pair<int64_t, std::filesystem::path>> list_checkpoints(const std::filesystem::path& checkpoints);

/// The newest checkpoint; none if there is none.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& checkpoints);

}  // namespace kappa
