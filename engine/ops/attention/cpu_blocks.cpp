#include "engine/ops/attention/cpu_blocks.h"

#include "engine/core/wide.h"
#include "engine/device/gemm.h"

namespace kappa::attention_blocks {

KAPPA_WIDE void widen_rows(const bfloat16* x, int64_t stride, int64_t rows, int64_t width, float* to) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < width; ++d) to[i * width + d] = x[i * stride + d];
}

template <class W>
void multiply_rows(const Rows<W>& a, const Rows<W>& b, W alpha, W* tile) {
  multiply_tile(TileProduct<W>{.m = a.count,
                               .n = b.count,
                               .k = a.width,
                               .a = a.data,
                               .a_stride = a.stride,
                               .transpose_a = false,
                               .b = b.data,
                               .b_stride = b.stride,
                               .transpose_b = true,
                               .c = tile,
                               .c_stride = key_block,
                               .alpha = alpha});
}

/// sums [count, D] += α·op(tile)·b
template <class W>
static void add(int64_t count, const W* tile, bool transpose, const Rows<W>& b, W alpha, W* sums) {
  multiply_tile(TileProduct<W>{.m = count,
                               .n = b.width,
                               .k = b.count,
                               .a = tile,
                               .a_stride = key_block,
                               .transpose_a = transpose,
                               .b = b.data,
                               .b_stride = b.stride,
                               .transpose_b = false,
                               .c = sums,
                               .c_stride = b.width,
                               .alpha = alpha,
                               .beta = 1});
}
template <class W>
void add_product(int64_t rows, const W* tile, const Rows<W>& b, W alpha, W* sums) {
  add(rows, tile, false, b, alpha, sums);
}
template <class W>
void add_transposed_product(int64_t columns, const W* tile, const Rows<W>& b, W alpha, W* sums) {
  add(columns, tile, true, b, alpha, sums);
}

#define KAPPA_INSTANTIATE(W)                                           \
  template void multiply_rows(const Rows<W>&, const Rows<W>&, W, W*);  \
  template void add_product(int64_t, const W*, const Rows<W>&, W, W*); \
  template void add_transposed_product(int64_t, const W*, const Rows<W>&, W, W*);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)

}  // namespace kappa::attention_blocks
