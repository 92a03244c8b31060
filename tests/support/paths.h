#pragma once
// Where the tests find the source tree and the program.

#include <filesystem>

namespace kappa {

std::filesystem::path source_dir();
std::filesystem::path kappa_binary();

}  // namespace kappa
