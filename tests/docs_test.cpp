// What the pages name must be there: files that they link to, keys of configurations.

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "train/config.h"

using namespace kappa;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pages() {
  std::vector<fs::path> found;
  for (auto at = fs::recursive_directory_iterator(source_dir()); at != fs::recursive_directory_iterator(); ++at) {
    const std::string name = at->path().filename().string();
    if (at->is_directory() && (name == "build" || name == "runs" || name.starts_with('.'))) at.disable_recursion_pending();
    if (at->path().extension() == ".md") found.push_back(at->path());
  }
  return found;
}

std::vector<std::string> matches(const std::string& text, const char* pattern, size_t group = 0) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at)
    found.push_back((*at)[group]);
  return found;
}

}  // namespace

TEST_CASE("docs: every relative link leads somewhere") {
  int links = 0;
  for (const fs::path& page : pages())
    for (const std::string& link : matches(read_file(page), R"(\]\(([^)\s]+)\))", 1)) {
      if (link.starts_with("http") || link.starts_with('#')) continue;
      INFO(page << ": " << link);
      CHECK(fs::exists(page.parent_path() / link.substr(0, link.find('#'))));
      ++links;
    }
  CHECK(links > 100);
}

TEST_CASE("docs: every key that a page names is one of a configuration") {
  const std::vector<std::string> all = config_keys();
  const std::set<std::string> keys(all.begin(), all.end());
  const std::set<std::string> endings{"safetensors", "h", "cpp", "md", "json", "jsonl", "yaml", "tiktoken", "token_bytes"};
  int named = 0;
  for (const fs::path& page : pages())
    for (const std::string& key :
         matches(read_file(page), R"([^\w./-](((model|train|data|tokenizer|checkpoint|run|audit)\.)([a-z_]\w*)))", 1)) {
      if (endings.contains(key.substr(key.find('.') + 1))) continue;
      INFO(page << ": " << key);
      CHECK(keys.contains(key));
      ++named;
    }
  CHECK(named > 40);
}

TEST_CASE("docs: every configuration that a page names is there") {
  for (const fs::path& page : pages())
    for (const std::string& name : matches(read_file(page), R"(configs/[\w/-]+\.yaml)")) {
      INFO(page << ": " << name);
      CHECK(fs::exists(source_dir() / name));
    }
}
