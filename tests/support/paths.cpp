#include "tests/support/paths.h"

#include <cstdlib>

namespace kappa {

std::filesystem::path source_dir() {
  const char* const elsewhere = std::getenv("KAPPA_SOURCE_DIR");  // where the tests run away from where they were built
  return elsewhere ? elsewhere : KAPPA_SOURCE_DIR;
}
std::filesystem::path kappa_binary() { return KAPPA_BINARY; }

}  // namespace kappa
