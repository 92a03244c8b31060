// CMake keeps the list of tests as text separated by semicolons, in which brackets group. A name with either would swallow the
// tests after it, and nobody would see that they no longer run.

#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/support/catch.h"
#include "tests/support/paths.h"

TEST_CASE("names of tests hold neither semicolons nor brackets") {
  const std::regex declaration(R"(TEST_CASE\("([^"]*)\")");
  int names = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kappa::source_dir() / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);)
      for (auto match = std::sregex_iterator(line.begin(), line.end(), declaration); match != std::sregex_iterator(); ++match) {
        INFO(entry.path() << ": " << (*match)[1]);
        CHECK((*match)[1].str().find_first_of(";[]") == std::string::npos);
        ++names;
      }
  }
  CHECK(names > 200);
}
