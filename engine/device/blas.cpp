// The library calls under gemm.cpp.

#include <Eigen/Core>

#include "engine/core/profile.h"
#include "engine/device/gemm.h"

#ifdef KAPPA_WITH_OPENBLAS
#include <cblas.h>
#include <sys/mman.h>

#include <cstdlib>
#include <string_view>

#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

// How OpenBLAS chooses its kernels; not there if it was built for one processor alone.
extern "C" __attribute__((weak)) void gotoblas_dynamic_init();
extern "C" __attribute__((weak)) void gotoblas_dynamic_quit();
#endif

namespace kappa {

template <class W>
void multiply_tile_eigen(const TileProduct<W>& p) {
  using Matrix = Eigen::Matrix<W, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Input = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
  const Input a(p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, Eigen::OuterStride<>(p.a_stride));
  const Input b(p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, Eigen::OuterStride<>(p.b_stride));
  Eigen::Map<Matrix, 0, Eigen::OuterStride<>> c(p.c, p.m, p.n, Eigen::OuterStride<>(p.c_stride));
  if (p.beta == 0)
    c.setZero();
  else if (p.beta != 1)
    c *= p.beta;
  const auto add = [&](const auto& left, const auto& right) { c.noalias() += p.alpha * left * right; };
  if (p.transpose_a && p.transpose_b) return add(a.transpose(), b.transpose());
  if (p.transpose_a) return add(a.transpose(), b);
  if (p.transpose_b) return add(a, b.transpose());
  add(a, b);
}

#ifdef KAPPA_WITH_OPENBLAS

/// On a processor younger than itself OpenBLAS 0.3.21 takes the kernels of 2004, a tenth as fast. Then its choice is made again,
/// with the name that its own environment variable would give; who has set that is left alone.
static void choose_kernels() {
#if defined(__x86_64__)
  const bool unknown = openblas_get_corename() == std::string_view("Prescott") && __builtin_cpu_supports("avx2");
  if (!unknown || std::getenv("OPENBLAS_CORETYPE") || !gotoblas_dynamic_init || !gotoblas_dynamic_quit) return;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 0);
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  unsetenv("OPENBLAS_CORETYPE");
#endif
}

/// Before main, while there is one thread.
static bool prepared = (choose_kernels(), openblas_set_num_threads(1), true);

/// OpenBLAS maps a buffer for every thread that calls it, and tries for ever where that is refused (ulimit -v). Throws RunError
/// unless there is room for all of them.
static bool require_room() {
  const size_t bytes = size_t(threads()) << 27;
  void* const room = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED)
    throw RunError(
        fmt::format("OpenBLAS needs 128 MiB of addresses a thread, which a limit (ulimit -v) does not leave for {}", threads()));
  munmap(room, bytes);
  return true;
}

template <class W>
void multiply_tile(const TileProduct<W>& p) {
  const PartScope scope(2 * p.m * p.n * p.k);
  static_cast<void>(prepared);
  [[maybe_unused]] static const bool room = require_room();
  const auto flag = [](bool transpose) { return transpose ? CblasTrans : CblasNoTrans; };
  const auto call = [&](auto gemm) {
    gemm(CblasRowMajor, flag(p.transpose_a), flag(p.transpose_b), blasint(p.m), blasint(p.n), blasint(p.k), p.alpha, p.a,
         blasint(p.a_stride), p.b, blasint(p.b_stride), p.beta, p.c, blasint(p.c_stride));
  };
  if constexpr (std::is_same_v<W, double>)
    call(cblas_dgemm);
  else
    call(cblas_sgemm);
}

const char* blas_name() { return openblas_get_config(); }
void set_blas_threads(int count) { openblas_set_num_threads(count); }

#else

template <class W>
void multiply_tile(const TileProduct<W>& p) {
  const PartScope scope(2 * p.m * p.n * p.k);
  multiply_tile_eigen(p);
}

const char* blas_name() { return "Eigen's own kernels"; }
void set_blas_threads(int) {}

#endif

template void multiply_tile(const TileProduct<double>&);
template void multiply_tile(const TileProduct<float>&);
template void multiply_tile_eigen(const TileProduct<double>&);
template void multiply_tile_eigen(const TileProduct<float>&);

}  // namespace kappa
