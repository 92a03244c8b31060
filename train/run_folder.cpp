#include "train/run_folder.h"

#include <fstream>

#include "engine/core/file.h"

namespace kappa {

/// Keys that say how a run is watched and fed, not what it computes of whole data.
static bool may_differ(std::string_view key) {
  for (std::string_view prefix : {"threads", "run.", "checkpoint.", "audit.", "train.eval_", "train.sample_", "train.log_",
                                  "train.core_", "data.workers", "data.skip_damaged"})
    if (key.starts_with(prefix)) return true;
  return false;
}

RunFolder::RunFolder(const RunConfig& config, const std::filesystem::path& path) : path_(path) {
  const std::filesystem::path file = path / "config.yaml";
  if (!std::filesystem::exists(file)) return;
  std::string list;
  for (const Difference& d : differences(load_run_config(file), config))
    if (!may_differ(d.key)) list += fmt::format("{}{} ({} there, {} now)", list.empty() ? "" : ", ", d.key, d.left, d.right);
  require(list.empty(), "{}: a run with another configuration is there: {}; give run.dir another name, or remove the folder",
          path.string(), list);
}

void RunFolder::make(const RunConfig& config) const {
  const std::filesystem::path file = path_ / "config.yaml";
  if (std::filesystem::exists(file)) return;
  std::error_code error;
  std::filesystem::create_directories(path_ / "checkpoints", error);
  require(!error, "{}: cannot make the run's folder: {}", path_.string(), error.message());
  write_file(file, to_yaml(config));
}

void RunFolder::log(const nlohmann::ordered_json& metrics) const {
  std::ofstream file(path_ / "metrics.jsonl", std::ios::app);
  file << metrics.dump() << '\n';
  if (!file.flush()) throw RunError(fmt::format("{}: cannot be written to", (path_ / "metrics.jsonl").string()));
}

void RunFolder::cut_metrics(int64_t step) const {
  const std::filesystem::path file = path_ / "metrics.jsonl";
  std::ifstream in(file);
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const auto object = nlohmann::json::parse(line, nullptr, false);  // a line cut off by a crash is dropped
    if (!object.is_object()) continue;
    // A line of training has the index of its step, a validation the number of steps before it.
    const int64_t first_again = object.contains("val/bpb") ? step + 1 : step;
    if (object.value("step", first_again) < first_again) kept += line + '\n';
  }
  write_file(file, kept);
}

std::filesystem::path run_path(const RunConfig& config, const std::filesystem::path& config_file) {
  return config.run.dir.empty() ? std::filesystem::path("runs") / config_file.stem() : std::filesystem::path(config.run.dir);
}

}  // namespace kappa
