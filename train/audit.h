#pragma once
// The audit: one forward and backward pass on given tensors, with everything that can be compared written to a file.

#include <filesystem>
#include <optional>

#include "engine/core/element.h"
#include "train/config.h"

namespace kappa {

struct AuditFiles {
  std::filesystem::path weights, batch, out;
  std::optional<std::filesystem::path> routing;  // an earlier audit's output, whose top-k choices are imposed
};

/// Reads weights and batch (`inputs`, `targets` int32 [B, T]), computes in `compute` and writes the file. The names are those of
/// docs/audit.md. Values are float32, or float64 if that is what was computed in. Throws InputError for input that does not
/// fit.
void audit(const RunConfig& config, DType compute, const AuditFiles& files);

}  // namespace kappa
