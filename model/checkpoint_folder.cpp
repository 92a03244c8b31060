#include "model/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace kappa {

namespace fs = std::filesystem;

std::optional<int64_t> checkpoint_step(const fs::path& checkpoint) {
  const std::string name = checkpoint.filename().string();
  if (!name.starts_with("step_")) return std::nullopt;
  const char *begin = name.data() + 5, *end = name.data() + name.size();
  int64_t step = 0;
  const auto [rest, status] = std::from_chars(begin, end, step);
  if (status != std::errc() || rest != end || step < 0) return std::nullopt;
  return step;
}

std::vector<std::pair<int64_t, fs::path>> list_checkpoints(const fs::path& checkpoints) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(checkpoints, error))
    if (const auto step = checkpoint_step(entry.path())) found.emplace_back(*step, entry.path());
  std::ranges::sort(found);
  return found;
}

std::optional<fs::path> newest_checkpoint(const fs::path& checkpoints) {
  const auto all = list_checkpoints(checkpoints);
  if (all.empty()) return std::nullopt;
  return all.back().second;
}

}  // namespace kappa
