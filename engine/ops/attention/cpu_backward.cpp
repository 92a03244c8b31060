#include <cmath>

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
  W *q, *dout, *k, *v;  // widened copies [query_block, D], [key_block, D]
  W *p, *ds;            // [query_block, key_block]
  W* dq;                // [query_block, D]
  W* delta;             // [query_block] ⟨do, o⟩
  W *dk, *dv;           // [S, D] summed over all queries of the group

  Block(Cut<W>& cut, const AttentionExtents& n)
      : q(cut(query_block * n.head_size)),
        dout(cut(query_block * n.head_size)),
        k(cut(key_block * n.head_size)),
        v(cut(key_block * n.head_size)),
        p(cut(tile_size)),
        ds(cut(tile_size)),
        dq(cut(query_block * n.head_size)),
        delta(cut(query_block)),
        dk(cut(n.keys * n.head_size)),
        dv(cut(n.keys * n.head_size)) {}
};

template <class T>
KAPPA_WIDE void dot_rows(const T* a, const T* b, Head head, Range tokens, Wide<T>* dots) {
  using W = Wide<T>;
  for (int64_t i = 0; i < size(tokens); ++i) {
    const int64_t first = head.at(tokens.begin + i);
    W dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t d = first; d < first + head.width; ++d) dot += W(a[d]) * W(b[d]);
    dots[i] = dot;
  }
}

/// Turns the scores in p into probabilities and ⟨do, v⟩ in ds into the scores' gradients; both 0 where the query does not see the
/// key.
template <class W>
KAPPA_WIDE void differentiate(const Block<W>& m, const AttentionExtents& n, Range queries, Range keys, const W* lse) {
  for (int64_t i = 0; i < size(queries); ++i) {
    const Range seen = visible(n, keys, queries.begin + i);
    const W shift = lse[queries.begin + i], delta = m.delta[i];
    W *const p = m.p + i * key_block, *const ds = m.ds + i * key_block;
    for (W* row : {p, ds}) {
      std::fill(row, row + seen.begin, W(0));
      std::fill(row + seen.end, row + size(keys), W(0));
    }
#pragma omp simd
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      p[j] = fast_exp(p[j] - shift);
      ds[j] = p[j] * (ds[j] - delta);
    }
  }
}

template <class T>
KAPPA_WIDE void put_rows(const Wide<T>* from, Head head, Range tokens, GradOut<T> to) {
  if (!to) return;
  for (int64_t i = 0; i < size(tokens); ++i)
    for (int64_t d = 0; d < head.width; ++d) to.put(head.at(tokens.begin + i) + d, from[i * head.width + d]);
}

/// All queries of the heads that share one kv head, in order.
template <class T>
void backward_group(const AttentionValues<T>& in, const AttentionGradients<T>& d, int64_t batch, int64_t kv_head,
                    const Block<Wide<T>>& m) {
  using W = Wide<T>;
  const AttentionExtents& n = in.n;
  const int64_t group = n.heads / n.kv_heads, width = n.head_size;
  const W scale = 1 / std::sqrt(W(width));
  const Head of_k = key_head(n, batch, kv_head);
  std::fill(m.dk, m.dk + n.keys * width, W(0));
  std::fill(m.dv, m.dv + n.keys * width, W(0));
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const Head of_q = query_head(n, batch, head);
    const W* const lse = d.lse + (batch * n.heads + head) * n.queries;
    for (int64_t begin = 0; begin < n.queries; begin += query_block) {
      const Range queries{begin, std::min(begin + query_block, n.queries)};
      const Rows<W> q = rows_of(in.q, of_q, queries, m.q), dout = rows_of(d.dout, of_q, queries, m.dout);
      dot_rows(d.dout, d.out, of_q, queries, m.delta);
      std::fill(m.dq, m.dq + size(queries) * width, W(0));
      for_key_blocks(n, queries, [&](Range keys) {
        const Rows<W> k = rows_of(in.k, of_k, keys, m.k), v = rows_of(in.v, of_k, keys, m.v);
        multiply_rows(q, k, scale, m.p);
        multiply_rows(dout, v, W(1), m.ds);
        differentiate(m, n, queries, keys, lse);
        add_transposed_product(size(keys), m.p, dout, W(1), m.dv + keys.begin * width);
        add_transposed_product(size(keys), m.ds, q, scale, m.dk + keys.begin * width);
        add_product(size(queries), m.ds, k, scale, m.dq);
      });
      put_rows(m.dq, of_q, queries, d.q);
    }
  }
  put_rows(m.dk, of_k, {0, n.keys}, d.k);
  put_rows(m.dv, of_k, {0, n.keys}, d.v);
}

}  // namespace

// A tile is one kv head with all of its queries, so that dk and dv are sums in one order.
template <class T>
void attention_backward(CpuQueue queue, const AttentionValues<T>& in, const AttentionGradients<T>& d) {
  using W = Wide<T>;
  const int64_t memory_size = Cut<W>::template needed<Block<W>>(in.n);
  const Scratch<W> memory(queue, threads() * memory_size);
  W* const base = memory;
  parallel_for(in.n.batch * in.n.kv_heads, [&](int64_t tile, int worker) {
    Cut<W> cut(base + worker * memory_size);
    backward_group(in, d, tile / in.n.kv_heads, tile % in.n.kv_heads, Block<W>(cut, in.n));
  });
}

template void attention_backward(CpuQueue, const AttentionValues<double>&, const AttentionGradients<double>&);
template void attention_backward(CpuQueue, const AttentionValues<float>&, const AttentionGradients<float>&);
template void attention_backward(CpuQueue, const AttentionValues<bfloat16>&, const AttentionGradients<bfloat16>&);

}  // namespace kappa
