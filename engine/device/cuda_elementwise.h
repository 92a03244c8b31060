#pragma once
// Kernels that compute each element from those at its place: a thread moves 16 bytes of every array at a time, or single elements
// where the arrays do not begin at multiples of 16 bytes.

#include "engine/device/cuda_warp.h"

namespace kappa {

constexpr int elementwise_threads = 256;

/// Calls body.template at<width>(i) for every i in [0, n) that is a multiple of `width`, and body.template at<1>(i) for the rest
/// at the end.
template <int width, class Body>
__global__ void __launch_bounds__(elementwise_threads) elementwise_kernel(int64_t n, Body body) {
  const int64_t first = (int64_t(blockIdx.x) * elementwise_threads + threadIdx.x) * width;
  if (first + width <= n)
    body.template at<width>(first);
  else
    for (int64_t i = first; i < n; ++i) body.template at<1>(i);
}

/// `packs`: whether all of its arrays begin at multiples of 16 bytes.
template <int width, class Body>
void launch_elementwise(const char* name, GridQueue queue, int64_t n, bool packs, const Body& body) {
  launch(name, packs ? elementwise_kernel<width, Body> : elementwise_kernel<1, Body>,
         {blocks_for(n, int64_t(elementwise_threads) * (packs ? width : 1)), elementwise_threads}, queue, n, body);
}

}  // namespace kappa
