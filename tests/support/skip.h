#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/catch.h"

namespace kappa::test {

/// Says that a test cannot run here. Under ctest, where a test is a process of its own, it counts as skipped.
inline void skip(const std::string& reason) {
  WARN("skipped: " << reason);
  if (std::getenv("CTEST_INTERACTIVE_DEBUG_MODE") != nullptr) std::exit(4);
}

/// The folder that KAPPA_SHARED names, where what is too large to be kept here lies: `what` the test asks for. Skips without it.
inline std::optional<std::filesystem::path> shared_folder(const std::string& what) {
  const char* const path = std::getenv("KAPPA_SHARED");
  if (path != nullptr && *path != '\0') return path;
  skip("KAPPA_SHARED names no folder with " + what);
  return std::nullopt;
}

}  // namespace kappa::test
