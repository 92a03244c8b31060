#pragma once

#include <cstdlib>
#include <string>

#include "tests/support/catch.h"

namespace kappa::test {

/// Says that a test cannot run here. Under ctest, where a test is a process of its own, it counts as skipped.
inline void skip(const std::string& reason) {
  WARN("skipped: " << reason);
  if (std::getenv("CTEST_INTERACTIVE_DEBUG_MODE") != nullptr) std::exit(4);
}

}  // namespace kappa::test
