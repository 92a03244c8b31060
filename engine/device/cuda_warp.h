#pragma once
// What the kernels have in common: moving 16 bytes at a time, and sums over a warp.

#include <bit>
#include <cmath>

#include "engine/core/grad_out.h"
#include "engine/device/cuda_grid.h"

namespace kappa {

constexpr unsigned full_warp = 0xffffffffu;
constexpr int warp_lanes = 32;

/// How many elements one load or store moves at most.
template <class T>
constexpr int pack_width = 16 / sizeof(T);

/// `width` neighbours, moved by one instruction. Their address must be a multiple of their size.
template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
  KAPPA_HD T& operator[](int i) { return values[i]; }
  KAPPA_HD const T& operator[](int i) const { return values[i]; }
};

template <int width, class T>
__device__ inline Pack<T, width> load_pack(const T* from) {
  expect_aligned(from, sizeof(Pack<T, width>));
  return *reinterpret_cast<const Pack<T, width>*>(from);
}
template <int width, class T>
__device__ inline void store_pack(T* to, const Pack<T, width>& pack) {
  expect_aligned(to, sizeof(Pack<T, width>));
#ifdef __CUDA_ARCH__
  // nvcc may take the copy of a struct apart, into stores of 2 or 4 bytes.
  if constexpr (sizeof(pack) == 16) return __stwb(reinterpret_cast<uint4*>(to), std::bit_cast<uint4>(pack));
#endif
  *reinterpret_cast<Pack<T, width>*>(to) = pack;
}

/// GradOut::put for the pack at i.
template <int width, class T>
__device__ inline void put_pack(const GradOut<T>& out, int64_t i, const Wide<T>* values) {
  using W = Wide<T>;
  Pack<T, width> pack;
  if (out.add) {
    pack = load_pack<width>(out.data + i);
    for (int j = 0; j < width; ++j) pack[j] = T(W(pack[j]) + values[j]);
  } else {
    for (int j = 0; j < width; ++j) pack[j] = T(values[j]);
  }
  store_pack(out.data + i, pack);
}

/// Whether rows of `length` elements can be moved in packs, given that they begin at these addresses.
template <class T, class... Pointers>
bool in_packs(int64_t length, const Pointers*... pointers) {
  return length % pack_width<T> == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

/// The sum over the warp, the same bits in every lane: the tree is fixed.
template <class W>
__device__ inline W warp_sum(W value) {
  for (int distance = warp_lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(full_warp, value, unsigned(distance));
  return value;
}
template <class W>
__device__ inline W warp_max(W value) {
  for (int distance = warp_lanes / 2; distance > 0; distance /= 2) {
    const W other = __shfl_xor_sync(full_warp, value, unsigned(distance));
    value = other > value ? other : value;
  }
  return value;
}

/// Σ parts, by one warp: every lane those of its number, in order, then the tree.
__device__ inline double sum_of_parts(const double* parts, int64_t n) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += warp_lanes) sum += parts[i];
  return warp_sum(sum);
}

/// Blocks that cover n with `each` apiece.
inline unsigned blocks_for(int64_t n, int64_t each) { return unsigned((n + each - 1) / each); }

}  // namespace kappa
