#include <fmt/format.h>

#include "engine/device/gemm.h"
#include "train/commands.h"

namespace kappa {

std::string version() {
  return fmt::format("kappa {} ({})\ncompiler: {}\nproducts: {}\nCUDA: {}", KAPPA_VERSION, KAPPA_COMMIT, KAPPA_COMPILER,
                     blas_name(), KAPPA_CUDA_VERSION);
}

}  // namespace kappa
