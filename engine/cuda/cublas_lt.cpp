#include "engine/cuda/cublas_lt.h"

#include <dlfcn.h>

#include "engine/core/error.h"
#include "engine/cuda/runtime.h"

namespace kappa::cuda {
namespace {

void* open_library() {
  const std::string name = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  for (const std::string& path : {name, "/usr/local/cuda/lib64/" + name})
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  throw InputError(fmt::format("--device cuda: {} is not installed, or not on LD_LIBRARY_PATH: it comes with CUDA {}", name,
                               CUBLAS_VER_MAJOR));
}

CublasLt open() {
  queue();  // what is wrong with the driver is said first
  void* const library = open_library();
  CublasLt lt;
  const auto find = [&](auto& function, const char* name) {
    void* const address = dlsym(library, name);
    require(address != nullptr, "--device cuda: libcublasLt.so.{} has no {}", CUBLAS_VER_MAJOR, name);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
#define KAPPA_FIND(name) find(lt.name, "cublasLt" #name);
  KAPPA_CUBLAS_LT_FUNCTIONS(KAPPA_FIND)
#undef KAPPA_FIND
  lt.check(lt.Create(&lt.handle), "cublasLtCreate");
  lt.workspace_bytes = size_t{32} << 20;  // what the library's authors advise for Hopper
  lt.workspace = allocate(int64_t(lt.workspace_bytes), "the workspace of matrix products");
  return lt;
}

}  // namespace

std::string CublasLt::name() const { return fmt::format("cuBLASLt {} on {}", GetVersion(), device_name()); }

void CublasLt::check(cublasStatus_t status, const std::string& what) const {
  if (status != CUBLAS_STATUS_SUCCESS) throw RunError(fmt::format("{}: {}", what, GetStatusString(status)));
}

const CublasLt& cublas_lt() {
  static const CublasLt& lt = *new CublasLt(open());  // never closed, like the device
  return lt;
}

}  // namespace kappa::cuda
