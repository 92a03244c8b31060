// Matrix products on the GPU by cuBLASLt.
//
// The library's matrices are column-major. A row-major matrix is its transpose read so; hence Cᵀ = op(B)ᵀ·op(A)ᵀ is asked for,
// with B in the first place, and no matrix is moved.

#include <algorithm>
#include <vector>

#include "engine/core/profile.h"
#include "engine/cuda/cublas_lt.h"
#include "engine/cuda/launch.h"
#include "engine/cuda/runtime.h"
#include "engine/device/gemm_plans.h"
#include "engine/device/grid_gemm.h"
#include "engine/memory/scratch.h"

namespace kappa {
namespace {

using cuda::cublas_lt;

template <class T>
constexpr cudaDataType_t type_of() {
  if constexpr (std::is_same_v<T, double>)
    return CUDA_R_64F;
  else
    return std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;
}

/// One of the library's objects, destroyed with its scope.
template <class Handle, class Destroy>
struct Owned {
  Handle handle = nullptr;
  Destroy destroy;
  explicit Owned(Destroy d) : destroy(d) {}
  ~Owned() { destroy(handle); }
  Owned(const Owned&) = delete;
};

/// A matrix as it is stored: [rows, columns] row-major, `batch` of them one after the other.
class Layout {
 public:
  Layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t batch) : layout_(cublas_lt().MatrixLayoutDestroy) {
    const auto& lt = cublas_lt();
    lt.check(lt.MatrixLayoutCreate(&layout_.handle, type, uint64_t(columns), uint64_t(rows), columns), "a matrix layout");
    const auto count = int32_t(batch);
    const int64_t stride = rows * columns;
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  operator cublasLtMatrixLayout_t() const { return layout_.handle; }

 private:
  template <class V>
  void set(cublasLtMatrixLayoutAttribute_t attribute, const V& value) {
    cublas_lt().check(cublas_lt().MatrixLayoutSetAttribute(layout_.handle, attribute, &value, sizeof value), "a matrix layout");
  }
  Owned<cublasLtMatrixLayout_t, decltype(&cublasLtMatrixLayoutDestroy)> layout_;
};

/// One product as the library is told of it.
template <class T, class C>
class Product {
 public:
  Product(const GemmShape& s, bool add, bool aligned)
      : shape_(s),
        aligned_(aligned),
        beta_(add ? 1 : 0),
        description_(cublas_lt().MatmulDescDestroy),
        a_(type_of<T>(), s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, s.batch),
        b_(type_of<T>(), s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, s.batch),
        c_(type_of<C>(), s.m, s.n, s.batch) {
    const auto& lt = cublas_lt();
    // Products of float32 are of float32: no TF32.
    const cublasComputeType_t compute = std::is_same_v<T, double> ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
    lt.check(lt.MatmulDescCreate(&description_.handle, compute, type_of<Wide<T>>()), "a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  }

  cublasStatus_t run(const T* a, const T* b, C* c, const cublasLtMatmulAlgo_t& algorithm) const {
    const auto& lt = cublas_lt();
    const Wide<T> alpha = 1;
    return lt.Matmul(lt.handle, description_.handle, &alpha, b, b_, a, a_, &beta_, c, c_, c, c_, &algorithm, lt.workspace,
                     lt.workspace_bytes, static_cast<cudaStream_t>(cuda::queue().stream));
  }

  /// What the library proposes, the best guess first; nothing if it cannot compute this at all.
  std::vector<cublasLtMatmulAlgo_t> proposals() const {
    const auto& lt = cublas_lt();
    Owned<cublasLtMatmulPreference_t, decltype(&cublasLtMatmulPreferenceDestroy)> preference(lt.MatmulPreferenceDestroy);
    lt.check(lt.MatmulPreferenceCreate(&preference.handle), "a preference");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      lt.check(lt.MatmulPreferenceSetAttribute(preference.handle, attribute, &value, sizeof value), "a preference");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, lt.workspace_bytes);
    // Parts of a sum over k may be added up by way of the workspace, in order, but not by atomics.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    const auto element = uint32_t(std::min(sizeof(T), sizeof(C)));
    const uint32_t alignment = aligned_ ? 16 : element;
    for (auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                           CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(attribute, alignment);
    std::vector<cublasLtMatmulHeuristicResult_t> results(8);
    int count = 0;
    if (lt.MatmulAlgoGetHeuristic(lt.handle, description_.handle, b_, a_, c_, c_, preference.handle, int(results.size()),
                                  results.data(), &count) != CUBLAS_STATUS_SUCCESS)
      return {};
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    for (int i = 0; i < count; ++i)
      if (results[size_t(i)].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(results[size_t(i)].algo);
    return algorithms;
  }

 private:
  template <class V>
  void set(cublasLtMatmulDescAttributes_t attribute, const V& value) {
    cublas_lt().check(cublas_lt().MatmulDescSetAttribute(description_.handle, attribute, &value, sizeof value), "a product");
  }

  GemmShape shape_;
  bool aligned_;
  Wide<T> beta_;
  Owned<cublasLtMatmulDesc_t, decltype(&cublasLtMatmulDescDestroy)> description_;
  Layout a_, b_, c_;
};

bool tiled = false;

GemmPlans& plans() {
  static GemmPlans all;
  return all;
}

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(GemmPlans::Algorithm));

/// The fastest of the proposals, each timed on the real A and B, into a C that nobody needs.
template <class T, class C>
std::optional<cublasLtMatmulAlgo_t> fastest(const Product<T, C>& product, const GemmShape& s, const T* a, const T* b) {
  const auto proposals = product.proposals();
  if (proposals.size() <= 1) return proposals.empty() ? std::nullopt : std::optional(proposals.front());
  const Scratch<C> c(cuda::queue(), s.batch * s.m * s.n);
  cuda::clear(c, s.batch * s.m * s.n * int64_t(sizeof(C)));  // if it is added to, it is read
  cuda::Stopwatch watch;
  std::optional<cublasLtMatmulAlgo_t> best;
  double best_seconds = 0;
  for (const cublasLtMatmulAlgo_t& algorithm : proposals) {
    if (product.run(a, b, c, algorithm) != CUBLAS_STATUS_SUCCESS) continue;  // the first run loads the kernel
    for (int sample = 0; sample < 3; ++sample) {
      watch.start();
      for (int repeat = 0; repeat < 3; ++repeat) product.run(a, b, c, algorithm);
      const double seconds = watch.stop();
      if (!best || seconds < best_seconds) best = algorithm, best_seconds = seconds;
    }
  }
  return best;
}

template <class... Pointers>
bool all_aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace

template <class T, class C>
void gemm(CudaQueue queue, const GemmShape& s, const T* a, const T* b, GradOut<C> c) {
  if (!c || s.batch * s.m * s.n == 0) return;
  if (s.b_of) throw std::logic_error("products with chosen matrices run on the CPU alone");
  if (s.k == 0) {
    if (!c.add) cuda::clear(c.data, s.batch * s.m * s.n * int64_t(sizeof(C)));
    return;
  }
  const PartScope part(2 * s.batch * s.m * s.n * s.k);
  if (tiled) return tiled_gemm(queue, s, a, b, c);
  const bool aligned = all_aligned(a, b, c.data);
  const Product<T, C> product(s, c.add, aligned);
  const std::string key = GemmPlans::key(TypeOf<T>::value, TypeOf<C>::value, s, c.add, aligned);
  std::optional<GemmPlans::Algorithm> plan = plans().find(key);
  if (!plan) {
    const auto found = fastest(product, s, a, b);
    if (!found) return tiled_gemm(queue, s, a, b, c);  // shapes that the library does not do; small and odd ones
    plans().set(key, *(plan = std::bit_cast<GemmPlans::Algorithm>(*found)));
  }
  cublas_lt().check(product.run(a, b, c.data, std::bit_cast<cublasLtMatmulAlgo_t>(*plan)), "matrix product " + key);
  check_launch("a product by cuBLASLt");
}

void use_tiled_products() { tiled = true; }

bool keep_gemm_plans_of_gpu(const std::filesystem::path& file) { return plans().keep(file, cublas_lt().name()); }

template void gemm(CudaQueue, const GemmShape&, const double*, const double*, GradOut<double>);
template void gemm(CudaQueue, const GemmShape&, const float*, const float*, GradOut<float>);
template void gemm(CudaQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<bfloat16>);
template void gemm(CudaQueue, const GemmShape&, const bfloat16*, const bfloat16*, GradOut<float>);

}  // namespace kappa
