#include <fmt/format.h>

#include "engine/cuda/runtime.h"

namespace kappa::cuda {

static std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

std::string obstacle(const Facts& f) {
  if (f.driver == 0) return "--device cuda: no NVIDIA driver found; --device cpu needs none";
  if (f.driver / 1000 < f.toolkit / 1000)
    return fmt::format("--device cuda: the NVIDIA driver is too old: it knows CUDA {}, this program needs {}", version(f.driver),
                       version(f.toolkit));
  if (f.devices == 0) return "--device cuda: the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES hides some)";
  if (f.major < 9)
    return fmt::format("--device cuda: {} has compute capability {}.{}, this program needs 9.0 (Hopper) or later", f.name,
                       f.major, f.minor);
  return {};
}

}  // namespace kappa::cuda
