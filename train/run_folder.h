#pragma once
// The folder of a run:
//
//     config.yaml                 every key, resolved; config.until_NNNNNN.yaml: as it was before a change of course
//     tokenizer.{tiktoken,json,token_bytes.json}
//     metrics.jsonl               one JSON object a line, each with its "step"
//     gemm_plans.txt              on a GPU: which algorithm computes which product (engine/device/gemm_plans.h)
//     checkpoints/step_NNNNNN/    (checkpoint.h)

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/core/folder_lock.h"
#include "train/config.h"

namespace kappa {

class RunFolder {
 public:
  /// Keeps other processes out, and checks that a run that is there has the same configuration. What a run has left that ended
  /// before its first checkpoint may be replaced. Throws InputError if the folder cannot be one or another process works in it;
  /// or listing the keys that differ, but for those that may: where it runs, how often it looks and saves; and, where
  /// train.resume_from_step names the newest checkpoint for the first time, the course from there on (docs/runs.md).
  RunFolder(const RunConfig& config, const std::filesystem::path& path);

  /// Makes the folder of a new run, or writes down the new course of an old one. Only when nothing can be refused any more: the
  /// next attempt may be with a corrected configuration.
  void make(const RunConfig& config);

  /// Where the run keeps its tokenizer.
  std::filesystem::path tokenizer() const { return path_ / "tokenizer.tiktoken"; }
  /// Whether the run that goes on here has left it there.
  bool has_tokenizer() const;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path gemm_plans() const { return path_ / "gemm_plans.txt"; }

  /// Appends a line to metrics.jsonl.
  void log(const nlohmann::ordered_json& metrics) const;
  /// Drops the lines that a run writes again when it goes on after `step` steps.
  void cut_metrics(int64_t step) const;

 private:
  void lock();

  std::filesystem::path path_;
  FolderLock lock_;
  bool begins_ = true;       // a run, in a new folder or over what one without a checkpoint has left
  bool replaces_ = false;    // what one of another configuration has left
  bool new_course_ = false;  // of a run that goes on
};

/// run.dir, or runs/ and the name of the configuration file.
std::filesystem::path run_path(const RunConfig& config, const std::filesystem::path& config_file);

}  // namespace kappa
