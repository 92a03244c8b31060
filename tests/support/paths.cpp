#include "tests/support/paths.h"

namespace kappa {

std::filesystem::path source_dir() { return KAPPA_SOURCE_DIR; }
std::filesystem::path kappa_binary() { return KAPPA_BINARY; }

}  // namespace kappa
