// The order in which the folders may include one another, and a few other rules about the sources themselves.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/paths.h"

namespace {

namespace fs = std::filesystem;

const fs::path root = kappa::source_dir();

struct Source {
  int lines = 0;
  std::vector<std::string> includes;          // "engine/core/error.h"
  std::vector<std::string> foreign_includes;  // <vector>
};
using Sources = std::map<std::string, Source>;  // by path from the root

Source read_source(const fs::path& path) {
  Source source;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line); ++source.lines) {
    if (!line.starts_with("#include ")) continue;
    const size_t begin = line.find_first_of("\"<"), end = line.find_first_of("\">", begin + 1);
    if (begin == std::string::npos || end == std::string::npos) continue;
    (line[begin] == '"' ? source.includes : source.foreign_includes).push_back(line.substr(begin + 1, end - begin - 1));
  }
  return source;
}

/// The sources of the program, and those of its tests.
const Sources& sources() {
  static const Sources all = [] {
    Sources found;
    found["main.cpp"] = read_source(root / "main.cpp");
    for (const char* folder : {"engine", "data", "model", "eval", "train", "tests"})
      for (const auto& entry : fs::recursive_directory_iterator(root / folder))
        if (const auto extension = entry.path().extension();
            extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh")
          found[fs::relative(entry.path(), root).generic_string()] = read_source(entry.path());
    return found;
  }();
  return all;
}

/// From the lowest to the highest. A file may include files of its own layer and of those below.
const std::vector<std::string> layers = {
    "engine/core/", "engine/config/", "engine/cuda/", "engine/memory/", "engine/device/", "engine/tensor/", "engine/autograd/",
    "engine/ops/",  "engine/nn/",     "model/",       "eval/",          "train/",         "train/cli/",     "main.cpp",
};

/// −1 of what is in no layer: data and tests.
int layer_of(const std::string& path) {
  const auto holds = [&](const std::string& folder) { return path.starts_with(folder); };
  const auto last = std::find_if(layers.rbegin(), layers.rend(), holds);  // train/cli/ is above the rest of train/
  return int(layers.rend() - last) - 1;
}

/// Compiled for a device: without tensors.
bool is_kernel_file(const std::string& path) {
  if (!path.starts_with("engine/ops/")) return false;
  const std::string name = fs::path(path).filename().string();
  return name == "kernels.h" || name.find("cpu") != std::string::npos || name.find(".cu") != std::string::npos;
}

/// All files that `path` sees, itself left out.
std::set<std::string> seen_from(const std::string& path) {
  std::set<std::string> seen;
  std::vector<std::string> open = sources().at(path).includes;
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (!seen.insert(next).second) continue;
    if (const auto found = sources().find(next); found != sources().end())
      open.insert(open.end(), found->second.includes.begin(), found->second.includes.end());
  }
  return seen;
}

}  // namespace

TEST_CASE("structure: includes are named from the root") {
  REQUIRE(sources().size() > 150);
  for (const auto& [path, source] : sources())
    for (const std::string& include : source.includes) {
      INFO(path << " includes " << include);
      CHECK(sources().contains(include));
    }
}

TEST_CASE("structure: a file includes only what is below it") {
  for (const auto& [path, source] : sources()) {
    if (path.starts_with("tests/")) continue;
    for (const std::string& include : source.includes) {
      INFO(path << " includes " << include);
      CHECK_FALSE(include.starts_with("tests/"));
      if (path.starts_with("data/")) {
        CHECK((include.starts_with("data/") || include.starts_with("engine/core/") || include == "engine/device/thread_pool.h"));
      } else if (include.starts_with("data/")) {
        CHECK(layer_of(path) >= layer_of("eval/"));
      } else {
        REQUIRE(layer_of(path) >= 0);
        CHECK(layer_of(include) <= layer_of(path));
      }
    }
  }
}

TEST_CASE("structure: configurations and files know only the core") {
  for (const auto& [path, source] : sources()) {
    if (!path.starts_with("engine/config/") && !path.starts_with("engine/core/")) continue;
    for (const std::string& include : source.includes) {
      INFO(path << " includes " << include);
      CHECK(
          (include.starts_with("engine/core/") || (include.starts_with("engine/config/") && path.starts_with("engine/config/"))));
    }
  }
}

TEST_CASE("structure: kernels see no tensors and no tape") {
  int count = 0;
  for (const auto& [path, source] : sources()) {
    if (!is_kernel_file(path)) continue;
    ++count;
    for (const std::string& seen : seen_from(path)) {
      INFO(path << " sees " << seen);
      CHECK_FALSE((seen.starts_with("engine/tensor/") || seen.starts_with("engine/autograd/")));
    }
  }
  CHECK(count > 30);
}

TEST_CASE("structure: an op family has a test") {
  std::set<std::string> families;
  for (const auto& entry : fs::directory_iterator(root / "engine/ops")) families.insert(entry.path().filename().string());
  CHECK(families.size() >= 17);
  for (const std::string& family : families) {
    INFO(family);
    const auto tests_it = [&](const auto& entry) {
      const auto& [path, source] = entry;
      const std::string name = fs::path(path).filename().string();
      if (!path.starts_with("tests/") || !name.ends_with("_test.cpp")) return false;
      const auto is_of_family = [&](const std::string& include) { return include.starts_with("engine/ops/" + family + "/"); };
      return name == family + "_test.cpp" || std::ranges::any_of(source.includes, is_of_family);
    };
    CHECK(std::ranges::any_of(sources(), tests_it));
  }
}

TEST_CASE("structure: no file is long") {
  for (const auto& [path, source] : sources()) {
    INFO(path);
    CHECK(source.lines <= 500);
  }
}

TEST_CASE("structure: a package is used in the one place that is there for it") {
  const auto may_use = [](const std::string& path, const std::string& include) {
    if (include.starts_with("CLI/")) return path == "main.cpp" || path.ends_with("_command.cpp");
    if (include.starts_with("catch2/")) return path == "tests/support/catch.h" || path == "tests/main.cpp";
    if (include.starts_with("yaml-cpp/")) return path.starts_with("engine/config/");
    if (include == "zlib.h" || include == "zstd.h" || include == "snappy-c.h" || include == "lz4.h" ||
        include.starts_with("brotli/"))
      return path.starts_with("data/") || path.starts_with("tests/data/");
    if (include.starts_with("cuda") || include.starts_with("cublas")) return path.starts_with("engine/cuda/");
    if (include.starts_with("Eigen/")) return path == "engine/device/blas.cpp" || path.starts_with("tests/");
    return true;
  };
  for (const auto& [path, source] : sources())
    for (const std::string& include : source.foreign_includes) {
      INFO(path << " includes <" << include << ">");
      CHECK(may_use(path, include));
    }
}
