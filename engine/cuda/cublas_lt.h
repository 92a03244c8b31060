#pragma once
// cuBLASLt, loaded when it is first needed: the program starts, and computes on the CPU, where it is not installed.

#include <cublasLt.h>

#include <string>

namespace kappa::cuda {

/// The functions of the library that this program calls, under their names without `cublasLt`.
struct CublasLt {
// clang-format off
#define KAPPA_CUBLAS_LT_FUNCTIONS(F)                                                                               \
  F(Create) F(GetVersion) F(GetStatusString) F(Matmul) F(MatmulAlgoGetHeuristic)                                   \
  F(MatmulDescCreate) F(MatmulDescDestroy) F(MatmulDescSetAttribute)                                               \
  F(MatrixLayoutCreate) F(MatrixLayoutDestroy) F(MatrixLayoutSetAttribute)                                         \
  F(MatmulPreferenceCreate) F(MatmulPreferenceDestroy) F(MatmulPreferenceSetAttribute)
// clang-format on
#define KAPPA_MEMBER(name) decltype(&cublasLt##name) name = nullptr;
  KAPPA_CUBLAS_LT_FUNCTIONS(KAPPA_MEMBER)
#undef KAPPA_MEMBER

  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;  // device memory, used in the order of the one queue
  size_t workspace_bytes = 0;

  /// "cuBLASLt 130100 on NVIDIA H100 80GB HBM3"
  std::string name() const;
  /// Throws RunError that names `what` unless the status is success.
  void check(cublasStatus_t status, const std::string& what) const;
};

/// Loaded and opened at the first call; throws InputError where there is no libcublasLt.so of the toolkit's major version.
const CublasLt& cublas_lt();

}  // namespace kappa::cuda
