#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kappa {

/// What this program was built from and with.
struct Build {
  std::string version, commit, compiler;
  std::string blas;  // the library under the matrix products, and the kernels it has chosen
  std::string cuda;  // the toolkit's version; empty without
  std::vector<std::pair<std::string, std::string>> codecs_left_out;  // of Parquet: its name, Debian's package
};
Build this_build();

/// All of it, a line each: `kappa --version`.
std::string version();

}  // namespace kappa
