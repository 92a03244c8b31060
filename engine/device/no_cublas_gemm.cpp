// What a program that was built without CUDA has instead of cublas_gemm.cpp.

#include "engine/cuda/runtime.h"
#include "engine/device/gemm_plans.h"
#include "engine/device/grid_gemm.h"

namespace kappa {

void use_tiled_products() {}

bool keep_gemm_plans_of_gpu(const std::filesystem::path&) {
  cuda::queue();  // says why there is none
  return false;
}

}  // namespace kappa
