#include <algorithm>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/moe_dispatch/kernels.h"

namespace kappa {
namespace {

constexpr int64_t row_grain = 16;       // rows that a tile writes
constexpr int64_t choice_grain = 4096;  // tokens or slots with one number each
constexpr int64_t sum_width = 256;      // channels whose sums are carried at a time

template <class T, bool weighted>
KAPPA_WIDE void sum_slots(const RowsToMove<T>& move, const Wide<T>* weights, GradOut<T> tokens, Range range) {
  using W = Wide<T>;
  const int64_t channels = move.channels, top_k = move.routing.n.top_k;
  for (int64_t token = range.begin; token < range.end; ++token)
    for (int64_t first = 0; first < channels; first += sum_width) {
      const int64_t width = channels - first < sum_width ? channels - first : sum_width;
      W sum[sum_width] = {};
      for (int64_t a = token * top_k; a < (token + 1) * top_k; ++a) {
        const int64_t slot = move.routing.slot(a);
        if (slot < 0) continue;
        const T* const row = move.rows + slot * channels + first;
        const W weight = weighted ? weights[a] : W(1);
#pragma omp simd
        for (int64_t c = 0; c < width; ++c) sum[c] += weight * W(row[c]);
      }
      const GradOut<T> place{tokens.data + token * channels + first, tokens.add};
#pragma omp simd
      for (int64_t c = 0; c < width; ++c) place.put(c, sum[c]);
    }
}

/// A slot is one choice's, so whoever has the slot writes that choice's dp.
template <class T>
KAPPA_WIDE void split_rows(const CombineBackward<T>& b, GradOut<T> dy, GradOut<Wide<T>> dp, Range range) {
  using W = Wide<T>;
  for (int64_t slot = range.begin; slot < range.end; ++slot) {
    const int64_t a = b.routing.assignment[slot], channels = b.channels;
    if (a < 0) {
      if (dy && !dy.add) std::fill_n(dy.data + slot * channels, channels, T(W(0)));
      continue;
    }
    const T *const dout = b.dout + a / b.routing.n.top_k * channels, *const y = b.y + slot * channels;
    if (dy) {
      const W weight = b.probability[a];
      const GradOut<T> place{dy.data + slot * channels, dy.add};
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) place.put(c, weight * W(dout[c]));
    }
    if (dp) {
      W product = 0;
#pragma omp simd reduction(+ : product)
      for (int64_t c = 0; c < channels; ++c) product += W(dout[c]) * W(y[c]);
      dp.put(a, product);
    }
  }
}

}  // namespace

template <class T>
void tokens_to_slots(CpuQueue, const RowsToMove<T>& move, T* slots) {
  parallel_ranges(move.routing.n.experts * move.routing.n.capacity, row_grain, [&](Range range) {
    for (int64_t slot = range.begin; slot < range.end; ++slot) {
      const int64_t a = move.routing.assignment[slot];
      T* const to = slots + slot * move.channels;
      if (a < 0)
        std::fill_n(to, move.channels, T(Wide<T>(0)));
      else
        std::copy_n(move.rows + a / move.routing.n.top_k * move.channels, move.channels, to);
    }
  });
}

template <class T>
void slots_to_tokens(CpuQueue, const RowsToMove<T>& move, const Wide<T>* weights, GradOut<T> tokens) {
  if (!tokens) return;
  parallel_ranges(move.routing.n.tokens, row_grain, [&](Range range) {
    if (weights)
      sum_slots<T, true>(move, weights, tokens, range);
    else
      sum_slots<T, false>(move, weights, tokens, range);
  });
}

template <class T>
void combine_backward(CpuQueue, const CombineBackward<T>& b, GradOut<T> dy, GradOut<Wide<T>> dp) {
  const RoutingExtents& n = b.routing.n;
  if (dp && !dp.add)
    for (int64_t a = 0; a < n.tokens * n.top_k; ++a)
      if (b.routing.slot(a) < 0) dp.put(a, 0);
  parallel_ranges(n.experts * n.capacity, row_grain, [&](Range range) { split_rows(b, dy, dp, range); });
}

template <class W>
void choices_to_slots(CpuQueue, const RoutingTable& routing, const W* values, W* slots) {
  parallel_ranges(routing.n.experts * routing.n.capacity, choice_grain, [&](Range range) {
    for (int64_t slot = range.begin; slot < range.end; ++slot) {
      const int32_t a = routing.assignment[slot];
      slots[slot] = a < 0 ? W(0) : values[a];
    }
  });
}

template <class W>
void slots_to_choices(CpuQueue, const RoutingTable& routing, const W* values, GradOut<W> choices) {
  if (!choices) return;
  parallel_ranges(routing.n.tokens * routing.n.top_k, choice_grain, [&](Range range) {
    for (int64_t a = range.begin; a < range.end; ++a) {
      const int64_t slot = routing.slot(a);
      choices.put(a, slot < 0 ? W(0) : values[slot]);
    }
  });
}

#define KAPPA_INSTANTIATE(T)                                                                 \
  template void tokens_to_slots(CpuQueue, const RowsToMove<T>&, T*);                         \
  template void slots_to_tokens(CpuQueue, const RowsToMove<T>&, const Wide<T>*, GradOut<T>); \
  template void combine_backward(CpuQueue, const CombineBackward<T>&, GradOut<T>, GradOut<Wide<T>>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                              \
  template void choices_to_slots(CpuQueue, const RoutingTable&, const W*, W*); \
  template void slots_to_choices(CpuQueue, const RoutingTable&, const W*, GradOut<W>);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
