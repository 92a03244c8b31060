#pragma once
// Where a loader of packed rows stands between two batches, and how that is written down.

#include <nlohmann/json_fwd.hpp>

#include "data/packer.h"

namespace kappa {

struct LoaderState {
  uint64_t stream = 0;  // SegmentStream::fingerprint()
  RankOf rank = {};
  PackerState packer;
  bool operator==(const LoaderState&) const = default;
};

/// {"stream", "rank", "world", "slices", "waiting": [[segment, used], …]}: as many segments as wait in the packer's buffer,
/// however long they are and however much was read.
nlohmann::ordered_json to_json(const LoaderState& state);

/// Reads one back; other keys beside these do not matter. Throws InputError that begins with `file` and names the key, also for
/// what no loader can have written.
LoaderState loader_state(const std::string& file, const nlohmann::json& json);

}  // namespace kappa
