#include "eval/model_files.h"

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using namespace kappa::test;
namespace fs = std::filesystem;

TEST_CASE("model files: a run's folder has them, of its checkpoints the newest") {
  const TempFolder run;
  CHECK_THROWS_WITH(find_model_files(run.path(), "", ""), contains(run.path().string()) && contains("config.yaml"));
  write_file(run / "config.yaml", "");
  CHECK_THROWS_WITH(find_model_files(run.path(), "", ""), contains((run / "checkpoints").string()) && contains("--weights"));
  CHECK(find_model_files(run.path(), "w", "").weights == "w");
  for (const char* name : {"step_000009", "step_000100", "step_1000000", "step_2000000.tmp", "other"})
    fs::create_directories(run / "checkpoints" / name);
  ModelFiles files = find_model_files(run.path(), "", "");
  CHECK(files.config == run / "config.yaml");
  CHECK(files.weights == run / "checkpoints" / "step_1000000" / "model.safetensors");
  CHECK(files.tokenizer.empty());
  write_file(run / "tokenizer.tiktoken", "");
  CHECK(find_model_files(run.path(), "", "").tokenizer == run / "tokenizer.tiktoken");
  files = find_model_files(run.path(), "w", "t");
  CHECK(files.weights == "w");
  CHECK(files.tokenizer == "t");
}

TEST_CASE("model files: a configuration needs weights") {
  const TempFolder folder;
  const fs::path config = folder / "c.yaml";
  CHECK_THROWS_WITH(find_model_files(config, "w", ""), contains(config.string()));
  write_file(config, "");
  CHECK_THROWS_WITH(find_model_files(config, "", ""), contains("--weights") && contains(config.string()));
  const ModelFiles files = find_model_files(config, "w", "");
  CHECK(files.config == config);
  CHECK(files.weights == "w");
  CHECK(files.tokenizer.empty());
}
