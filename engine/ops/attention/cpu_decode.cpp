#include <cmath>
#include <limits>

#include "engine/core/vector_math.h"
#include "engine/core/wide.h"
#include "engine/device/few_rows.h"
#include "engine/memory/scratch.h"
#include "engine/ops/attention/cpu_blocks.h"

namespace kappa {
namespace {

using namespace attention_blocks;

/// One worker's memory: the queries that share a kv head, G = H/Hkv of them.
template <class W>
struct Group {
  W* q;    // [G, D] widened
  W* p;    // [G, S] scores, then probabilities
  W* out;  // [G, D]

  Group(Cut<W>& cut, const AttentionExtents& n)
      : q(cut(n.heads / n.kv_heads * n.head_size)),
        p(cut(n.heads / n.kv_heads * n.keys)),
        out(cut(n.heads / n.kv_heads * n.head_size)) {}
};

/// e^(s − max) / Σ e^(s − max) of scores s·scale.
template <class W>
KAPPA_WIDE void soften_row(W* s, int64_t n, W scale) {
  const W top = largest(s, n, -std::numeric_limits<W>::infinity());
  W sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    s[j] = fast_exp((s[j] - top) * scale);
    sum += s[j];
  }
  const W inverse = 1 / sum;
  for (int64_t j = 0; j < n; ++j) s[j] *= inverse;
}

template <class From, class To>
KAPPA_WIDE void convert_range(const From* from, To* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = To(from[i]);
}

}  // namespace

template <class T>
void attention_decode(CpuQueue queue, const AttentionValues<T>& in, T* out) {
  using W = Wide<T>;
  const AttentionExtents& n = in.n;
  const int64_t group = n.heads / n.kv_heads, width = n.head_size, memory_size = Cut<W>::template needed<Group<W>>(n);
  const Scratch<W> memory(queue, threads() * memory_size);
  W* const base = memory;
  const Range keys{n.first_key(0), n.end_key(0)};
  parallel_for(n.batch * n.kv_heads, [&](int64_t index, int worker) {
    Cut<W> cut(base + worker * memory_size);
    const Group<W> m(cut, n);
    const Head of_k = key_head(n, index / n.kv_heads, index % n.kv_heads);
    const int64_t first_query = index * group * width;  // the queries of a kv head lie side by side
    convert_range(in.q + first_query, m.q, group * width);
    multiply_few_rows(FewRows<T>{.m = group,
                                 .n = size(keys),
                                 .k = width,
                                 .a = m.q,
                                 .a_stride = width,
                                 .b = in.k + of_k.at(keys.begin),
                                 .b_stride = of_k.stride,
                                 .transpose_b = true,
                                 .c = m.p,
                                 .c_stride = size(keys)});
    for (int64_t g = 0; g < group; ++g) soften_row(m.p + g * size(keys), size(keys), 1 / std::sqrt(W(width)));
    multiply_few_rows(FewRows<T>{.m = group,
                                 .n = width,
                                 .k = size(keys),
                                 .a = m.p,
                                 .a_stride = size(keys),
                                 .b = in.v + of_k.at(keys.begin),
                                 .b_stride = of_k.stride,
                                 .transpose_b = false,
                                 .c = m.out,
                                 .c_stride = width});
    convert_range(m.out, out + first_query, group * width);
  });
}

template void attention_decode(CpuQueue, const AttentionValues<double>&, double*);
template void attention_decode(CpuQueue, const AttentionValues<float>&, float*);
template void attention_decode(CpuQueue, const AttentionValues<bfloat16>&, bfloat16*);

}  // namespace kappa
