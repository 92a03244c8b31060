#include "train/run_folder.h"

#include <fstream>

#include "engine/core/file.h"
#include "model/checkpoint_folder.h"

namespace kappa {

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

RunFolder::RunFolder(const RunConfig& config, const std::filesystem::path& path) : path_(path) {
  const std::filesystem::path file = path / "config.yaml";
  const int64_t step = config.train.resume_from_step;
  const auto all = list_checkpoints(checkpoints());
  if (!std::filesystem::exists(file)) {
    require(step < 0, "train.resume_from_step: expected the checkpoint of step {} in {}, found no run there", step,
            path.string());
    return;
  }
  const RunConfig before = load_run_config(file);
  new_course_ = step >= 0 && step != before.train.resume_from_step;
  if (new_course_) {
    require(!all.empty() && all.back().first >= step,
            "train.resume_from_step: expected the step of the newest checkpoint in {}, {}, found {}", path.string(),
            all.empty() ? "of which there is none" : std::to_string(all.back().first), step);
    require(all.back().first == step, "train.resume_from_step: {} is newer than step {}; to go back, remove it",
            all.back().second.string(), step);
  }
  std::string list;
  for (const Difference& d : differences(before, config))
    if (!may_differ(d.key) && !(new_course_ && is_course(d.key)))
      list += fmt::format("{}{}: {} → {}", list.empty() ? "" : ", ", d.key, d.left, d.right);
  require(list.empty(), "{}: a run with another configuration is there ({}); give run.dir another name, or remove the folder",
          path.string(), list);
}

void RunFolder::make(const RunConfig& config) const {
  const std::filesystem::path file = path_ / "config.yaml";
  if (std::filesystem::exists(file)) {
    if (!new_course_) return;
    write_file(path_ / fmt::format("config.until_{:06}.yaml", config.train.resume_from_step), read_file(file));
    return write_file(file, to_yaml(config));
  }
  std::error_code error;
  std::filesystem::create_directories(checkpoints(), error);
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
