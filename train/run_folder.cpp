#include "train/run_folder.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/core/file.h"
#include "model/checkpoint_folder.h"

namespace kappa {

namespace fs = std::filesystem;

/// Keys that say how a run is watched and fed, not what it computes of whole data.
static bool may_differ(std::string_view key) {
  for (std::string_view prefix : {"threads", "run.", "checkpoint.", "audit.", "train.eval_", "train.sample_", "train.log_",
                                  "train.core_", "data.workers", "data.skip_damaged"})
    if (key.starts_with(prefix)) return true;
  return false;
}

/// Keys that say where a run goes from here, not what it is.
static bool is_course(std::string_view key) {
  for (std::string_view name :
       {"train.num_iterations", "train.warmup_ratio", "train.warmdown_ratio", "train.final_lr_frac",
        "train.lr_schedule_restart_at_step", "train.lr_base_scale", "train.resume_from_step", "train.resume_lr_warmup_steps"})
    if (key == name) return true;
  return false;
}

/// Throws InputError unless `path` is a folder or can become one. Gives whether it is.
static bool is_folder(const fs::path& path) {
  fs::path at = fs::absolute(path);
  for (bool whole = true;; whole = false, at = at.parent_path()) {
    std::error_code error;
    const fs::file_status status = fs::status(at, error);
    require(status.type() != fs::file_type::none, "run.dir: {}: {}", at.string(), error.message());
    if (!fs::exists(status) && at.has_relative_path()) continue;
    require(fs::is_directory(status), "run.dir: {}: expected a folder, found a file", at.string());
    return whole;
  }
}

RunFolder::RunFolder(const RunConfig& config, const fs::path& path) : path_(path) {
  if (is_folder(path)) lock();
  const fs::path file = path / "config.yaml";
  const int64_t step = config.train.resume_from_step;
  const auto all = list_checkpoints(checkpoints());
  require(!all.empty() || step < 0, "train.resume_from_step: expected the checkpoint of step {} in {}, found no run there", step,
          path.string());
  if (!all.empty())
    for (const auto& [needed, what] : {std::pair{file, "configuration"}, {tokenizer(), "tokenizer"}})
      require(fs::exists(needed), "{}: expected the {} that {} was trained with, found none", needed.string(), what,
              all.back().second.string());
  if (!fs::exists(file)) return;

  const RunConfig before = load_run_config(file);
  new_course_ = step >= 0 && step != before.train.resume_from_step;
  if (new_course_) {
    require(all.back().first >= step, "train.resume_from_step: expected the step of the newest checkpoint in {}, {}, found {}",
            path.string(), all.back().first, step);
    require(all.back().first == step, "train.resume_from_step: {} is newer than step {}; to go back, remove it",
            all.back().second.string(), step);
  }
  std::string list;
  for (const Difference& d : differences(before, config))
    if (!may_differ(d.key) && !(new_course_ && is_course(d.key)))
      list += fmt::format("{}{}: {} → {}", list.empty() ? "" : ", ", d.key, d.left, d.right);
  // A run makes the folder of its checkpoints, and without one has nothing that could go on.
  begins_ = replaces_ = !list.empty() && all.empty() && fs::exists(checkpoints());
  require(list.empty() || begins_,
          "{}: a run with another configuration is there ({}); give run.dir another name, or remove the folder", path.string(),
          list);
}

void RunFolder::lock() { require(lock_.take(path_), "{}: another kappa train is working here", path_.string()); }

bool RunFolder::has_tokenizer() const { return !replaces_ && fs::exists(tokenizer()); }

void RunFolder::make(const RunConfig& config) {
  const fs::path file = path_ / "config.yaml";
  if (begins_) {
    std::error_code error;
    fs::create_directories(checkpoints(), error);
    require(!error, "run.dir: {}: cannot make the run's folder: {}", path_.string(), error.message());
    if (!lock_.taken()) {  // it was not there
      lock();
      require(!fs::exists(file), "{}: another kappa train has begun a run here", path_.string());
    }
  } else if (new_course_) {
    write_file(path_ / fmt::format("config.until_{:06}.yaml", config.train.resume_from_step), read_file(file));
  }
  if (begins_ || new_course_) write_file(file, to_yaml(config));
}

void RunFolder::log(const nlohmann::ordered_json& metrics) const {
  std::ofstream file(path_ / "metrics.jsonl", std::ios::app);
  file << metrics.dump() << '\n';
  if (!file.flush())
    throw RunError(fmt::format("{}: cannot be written to: {}", (path_ / "metrics.jsonl").string(), std::strerror(errno)));
}

void RunFolder::cut_metrics(int64_t step) const {
  const fs::path file = path_ / "metrics.jsonl";
  std::ifstream in(file);
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const auto object = nlohmann::json::parse(line, nullptr, false);  // a line cut off by a crash is dropped
    if (!object.is_object()) continue;
    // A line of training has the index of its step, a validation the number of steps before it.
    const int64_t first_again = object.contains("val/bpb") ? step + 1 : step;
    const auto at = object.find("step");
    if (at != object.end() && at->is_number_integer() && at->get<int64_t>() < first_again) kept += line + '\n';
  }
  write_file(file, kept);
}

std::filesystem::path run_path(const RunConfig& config, const std::filesystem::path& config_file) {
  return config.run.dir.empty() ? std::filesystem::path("runs") / config_file.stem() : std::filesystem::path(config.run.dir);
}

}  // namespace kappa
