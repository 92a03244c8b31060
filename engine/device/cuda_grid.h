#pragma once
// What a .cu file sees of CUDA, and the one way to launch a kernel. nvcc sends it to the GPU; a host compiler runs the same
// source on a model of the grid (host_grid.h), so that every hand-written kernel is tested, under the sanitizers too, where there
// is no GPU.
//
//     launch("copy", copy_kernel<T>, {.blocks = ceil_div(n, 256), .threads = 256}, queue, n, from, to);

#include <cstddef>
#include <cstdint>

#include "engine/core/queue.h"

#ifdef __CUDACC__

#include "engine/cuda/launch.h"

namespace kappa {
inline namespace on_gpu {

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;  // dynamic
};

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), Grid grid, CudaQueue queue, Arguments... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  if (grid.shared_bytes > 48 * 1024) allow_shared_memory(name, reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
  check_launch(name);
}

/// The block's one variable of type S.
template <class S>
__device__ S& shared() {
  __shared__ alignas(16) unsigned char bytes[sizeof(S)];
  return *reinterpret_cast<S*>(bytes);
}
/// The launch's shared_bytes as an array of `count` elements.
template <class S>
__device__ S* dynamic_shared(size_t) {
  extern __shared__ __align__(16) unsigned char kappa_dynamic_shared[];
  return reinterpret_cast<S*>(kappa_dynamic_shared);
}

__device__ inline void expect_aligned(const void*, size_t) {}

}  // namespace on_gpu
}  // namespace kappa

#else

#include <bit>

#include "engine/device/host_grid.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's
#define __global__
#define __device__
#define __launch_bounds__(threads)

namespace kappa {
inline namespace on_host {

using host_grid::blockDim, host_grid::blockIdx, host_grid::gridDim, host_grid::threadIdx, host_grid::expect_aligned,
    host_grid::Site;

inline void __syncthreads(Site at = {}) { host_grid::block_barrier(at); }
inline void __syncwarp(unsigned mask = ~0u, Site at = {}) { host_grid::Met<char>(mask, 0, at); }

template <class T>
T __shfl_sync(unsigned mask, T v, unsigned source, Site at = {}) {
  return host_grid::Met<T>(mask, v, at)[source % 32];
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, unsigned bits, Site at = {}) {
  return host_grid::Met<T>(mask, v, at)[host_grid::lane() ^ bits];
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, Site at = {}) {
  const host_grid::Met<T> all(mask, v, at);
  return host_grid::lane() >= delta ? all[host_grid::lane() - delta] : v;
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, Site at = {}) {
  const host_grid::Met<T> all(mask, v, at);
  return host_grid::lane() + delta < 32 ? all[host_grid::lane() + delta] : v;
}
/// The lanes for which `holds(value)`.
template <class T, class Holds>
unsigned votes(const host_grid::Met<T>& all, Holds holds) {
  unsigned lanes = 0;
  for (unsigned l = 0; l < 32; ++l)
    if (all.has(l) && holds(all[l])) lanes |= 1u << l;
  return lanes;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v, Site at = {}) {
  return votes(host_grid::Met<T>(mask, v, at), [v](const T& other) { return other == v; });
}
inline unsigned __ballot_sync(unsigned mask, bool v, Site at = {}) {
  return votes(host_grid::Met<bool>(mask, v, at), [](bool other) { return other; });
}
inline bool __any_sync(unsigned mask, bool v, Site at = {}) { return __ballot_sync(mask, v, at) != 0; }
inline bool __all_sync(unsigned mask, bool v, Site at = {}) { return __ballot_sync(mask, v, at) == mask; }

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(unsigned(bits)) + 1; }
// NOLINTEND(bugprone-reserved-identifier)

// Integers alone: sums of floats in the order in which threads happen to run are what this engine does not do.
inline int32_t atomicAdd(int32_t* to, int32_t value) { return __atomic_fetch_add(to, value, __ATOMIC_RELAXED); }

/// The block's one variable of type S; fresh and full of NaN patterns in every block.
template <class S>
S& shared() {
  static const char key = 0;
  return *static_cast<S*>(host_grid::shared_variable(&key, sizeof(S)));
}
/// The launch's shared_bytes as an array of `count` elements.
template <class S>
S* dynamic_shared(size_t count) {
  return static_cast<S*>(host_grid::dynamic_shared_memory(count * sizeof(S)));
}

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;  // dynamic
};

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), Grid grid, EmulatedQueue, Arguments... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  host_grid::run_grid(name, grid.blocks, grid.threads, grid.shared_bytes, [&] { kernel(arguments...); });
}

}  // namespace on_host
}  // namespace kappa

#endif
