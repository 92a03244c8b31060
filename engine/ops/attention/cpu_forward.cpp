#include <cmath>
#include <limits>

#include "engine/core/vector_math.h"
#include "engine/core/wide.h"
#include "engine/memory/scratch.h"
#include "engine/ops/attention/cpu_blocks.h"

namespace kappa {
namespace {

using namespace attention_blocks;

/// One worker's memory.
template <class W>
struct Block {
  W *q, *k, *v;  // widened copies [query_block, D], [key_block, D]
  W* tile;       // [query_block, key_block] scores, then e^(s − top)
  W* out;        // [query_block, D] Σ e^(s − top)·v over the keys so far
  W *top, *sum;  // [query_block] the largest score so far, Σ e^(s − top)

  Block(Cut<W>& cut, const AttentionExtents& n)
      : q(cut(query_block * n.head_size)),
        k(cut(key_block * n.head_size)),
        v(cut(key_block * n.head_size)),
        tile(cut(tile_size)),
        out(cut(query_block * n.head_size)),
        top(cut(query_block)),
        sum(cut(query_block)) {}
};

template <class W>
KAPPA_WIDE void begin_rows(const Block<W>& m, int64_t rows, int64_t width) {
  std::fill(m.out, m.out + rows * width, W(0));
  std::fill(m.top, m.top + rows, -std::numeric_limits<W>::infinity());
  std::fill(m.sum, m.sum + rows, W(0));
}

/// Turns the tile's scores into e^(s − top), 0 where the query does not see the key, after raising `top` to what it finds; what
/// was summed against a lower one shrinks.
template <class W>
KAPPA_WIDE void soften(const Block<W>& m, const AttentionExtents& n, Range queries, Range keys) {
  for (int64_t i = 0; i < size(queries); ++i) {
    const Range seen = visible(n, keys, queries.begin + i);
    W* const s = m.tile + i * key_block;
    std::fill(s, s + seen.begin, W(0));
    std::fill(s + seen.end, s + size(keys), W(0));
    if (size(seen) == 0) continue;
    const W top = largest(s + seen.begin, size(seen), m.top[i]);
    W sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      s[j] = fast_exp(s[j] - top);
      sum += s[j];
    }
    const W shrink = fast_exp(m.top[i] - top);
    W* const out = m.out + i * n.head_size;
    for (int64_t d = 0; d < n.head_size; ++d) out[d] *= shrink;
    m.sum[i] = m.sum[i] * shrink + sum;
    m.top[i] = top;
  }
}

template <class T>
KAPPA_WIDE void finish_rows(const Block<Wide<T>>& m, Range queries, Head head, T* out, Wide<T>* lse) {
  using W = Wide<T>;
  for (int64_t i = 0; i < size(queries); ++i) {
    const W inverse = 1 / m.sum[i];
    T* const to = out + head.at(queries.begin + i);
    for (int64_t d = 0; d < head.width; ++d) to[d] = T(m.out[i * head.width + d] * inverse);
    lse[queries.begin + i] = m.top[i] + std::log(m.sum[i]);
  }
}

}  // namespace

template <class T>
void attention_forward(CpuQueue queue, const AttentionValues<T>& in, T* out, Wide<T>* lse) {
  using W = Wide<T>;
  const AttentionExtents& n = in.n;
  const int64_t blocks = ceil_div(n.queries, query_block), memory_size = Cut<W>::template needed<Block<W>>(n);
  const Scratch<W> memory(queue, threads() * memory_size);
  W* const base = memory;
  const W scale = 1 / std::sqrt(W(n.head_size));
  parallel_for(n.batch * n.heads * blocks, [&](int64_t index, int worker) {
    Cut<W> cut(base + worker * memory_size);
    const Block<W> m(cut, n);
    const int64_t batch_head = index / blocks, batch = batch_head / n.heads, head = batch_head % n.heads;
    const int64_t begin = index % blocks * query_block;
    const Range queries{begin, std::min(begin + query_block, n.queries)};
    const Head of_q = query_head(n, batch, head), of_k = key_head(n, batch, head / (n.heads / n.kv_heads));

    begin_rows(m, size(queries), n.head_size);
    const Rows<W> q = rows_of(in.q, of_q, queries, m.q);
    for_key_blocks(n, queries, [&](Range keys) {
      multiply_rows(q, rows_of(in.k, of_k, keys, m.k), scale, m.tile);
      soften(m, n, queries, keys);
      add_product(size(queries), m.tile, rows_of(in.v, of_k, keys, m.v), W(1), m.out);
    });
    finish_rows(m, queries, of_q, out, lse + batch_head * n.queries);
  });
}

template void attention_forward(CpuQueue, const AttentionValues<double>&, double*, double*);
template void attention_forward(CpuQueue, const AttentionValues<float>&, float*, float*);
template void attention_forward(CpuQueue, const AttentionValues<bfloat16>&, bfloat16*, float*);

}  // namespace kappa
