// Tokens to slots and back on the GPU: bound by memory. A warp moves one token's row, 16 bytes a lane, and holds as much of it as
// its registers take: so a row is read once however many slots it goes to, and a sum over slots is written once. Slots are
// unique: nothing is added by two warps, and no atomics are needed.

#include "engine/device/cuda_warp.h"
#include "engine/ops/moe_dispatch/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256, warps = threads / warp_lanes;
constexpr int held = 4;  // packs of a row that a lane holds at a time

/// The token of this warp.
__device__ inline int64_t token_of_warp() { return int64_t(blockIdx.x) * warps + threadIdx.x / warp_lanes; }
/// Calls body(j, channel) for the packs of a lane in the part of a row that begins at `first`.
template <int width, class Body>
__device__ inline void for_held(int64_t first, int64_t channels, Body body) {
  for (int j = 0; j < held; ++j) {
    const int64_t channel = first + (int64_t(j) * warp_lanes + threadIdx.x % warp_lanes) * width;
    if (channel < channels) body(j, channel);
  }
}

template <class T, int width>
__global__ void __launch_bounds__(threads) tokens_to_slots_kernel(RowsToMove<T> move, T* slots) {
  const int64_t token = token_of_warp(), channels = move.channels, top_k = move.routing.n.top_k;
  if (token >= move.routing.n.tokens) return;
  for (int64_t first = 0; first < channels; first += held * warp_lanes * width) {
    Pack<T, width> row[held] = {};  // lanes behind the end hold zeros
    for_held<width>(first, channels, [&](int j, int64_t c) { row[j] = load_pack<width>(move.rows + token * channels + c); });
    for (int64_t a = token * top_k; a < (token + 1) * top_k; ++a)
      if (const int64_t slot = move.routing.slot(a); slot >= 0)
        for_held<width>(first, channels, [&](int j, int64_t c) { store_pack(slots + slot * channels + c, row[j]); });
  }
}

/// Zeroes the rows of slots that nobody has. A warp looks at 32 slots, and zeroes them together.
template <class T, int width>
__global__ void __launch_bounds__(threads) zero_unused_kernel(RoutingTable routing, int64_t channels, T* slots) {
  const int64_t count = routing.n.experts * routing.n.capacity, first = token_of_warp() * warp_lanes;
  const int lane = int(threadIdx.x % warp_lanes);
  unsigned unused = __ballot_sync(full_warp, first + lane < count && routing.assignment[first + lane] < 0);
  for (; unused != 0; unused &= unused - 1) {
    T* const row = slots + (first + __ffs(int(unused)) - 1) * channels;
    Pack<T, width> zeros;
    for (int i = 0; i < width; ++i) zeros[i] = T(Wide<T>(0));
    for (int64_t c = int64_t(lane) * width; c < channels; c += warp_lanes * width) store_pack(row + c, zeros);
  }
}

template <class T, int width>
__global__ void __launch_bounds__(threads) slots_to_tokens_kernel(RowsToMove<T> move, const Wide<T>* weights, GradOut<T> tokens) {
  using W = Wide<T>;
  const int64_t token = token_of_warp(), channels = move.channels, top_k = move.routing.n.top_k;
  if (token >= move.routing.n.tokens) return;
  for (int64_t first = 0; first < channels; first += held * warp_lanes * width) {
    W sums[held][width] = {};
    for (int64_t a = token * top_k; a < (token + 1) * top_k; ++a) {
      const int64_t slot = move.routing.slot(a);
      if (slot < 0) continue;
      const W weight = weights ? weights[a] : W(1);
      for_held<width>(first, channels, [&](int j, int64_t c) {
        const auto row = load_pack<width>(move.rows + slot * channels + c);
        for (int i = 0; i < width; ++i) sums[j][i] += weight * W(row[i]);
      });
    }
    for_held<width>(first, channels, [&](int j, int64_t c) { put_pack<width>(tokens, token * channels + c, sums[j]); });
  }
}

/// A token's dout is read once from memory, and for its further choices from the cache that is nearest.
template <class T, int width>
__global__ void __launch_bounds__(threads) combine_backward_kernel(CombineBackward<T> b, GradOut<T> dy, GradOut<Wide<T>> dp) {
  using W = Wide<T>;
  const int64_t token = token_of_warp(), channels = b.channels, top_k = b.routing.n.top_k;
  if (token >= b.routing.n.tokens) return;
  for (int64_t a = token * top_k; a < (token + 1) * top_k; ++a) {
    const int64_t slot = b.routing.slot(a);
    const W weight = b.probability[a];
    W product = 0;
    for (int64_t first = 0; slot >= 0 && first < channels; first += held * warp_lanes * width) {
      Pack<T, width> dout[held] = {}, y[held] = {};
      for_held<width>(first, channels, [&](int j, int64_t c) { dout[j] = load_pack<width>(b.dout + token * channels + c); });
      if (dp) for_held<width>(first, channels, [&](int j, int64_t c) { y[j] = load_pack<width>(b.y + slot * channels + c); });
      for_held<width>(first, channels, [&](int j, int64_t c) {
        W values[width];
        for (int i = 0; i < width; ++i) {
          values[i] = weight * W(dout[j][i]);
          product += W(dout[j][i]) * W(y[j][i]);
        }
        if (dy) put_pack<width>(dy, slot * channels + c, values);
      });
    }
    if (!dp) continue;
    product = warp_sum(product);
    if (threadIdx.x % warp_lanes == 0) dp.put(a, product);
  }
}

template <class W>
__global__ void __launch_bounds__(threads) choices_to_slots_kernel(RoutingTable routing, const W* values, W* slots) {
  const int64_t slot = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (slot >= routing.n.experts * routing.n.capacity) return;
  const int32_t a = routing.assignment[slot];
  slots[slot] = a < 0 ? W(0) : values[a];
}

template <class W>
__global__ void __launch_bounds__(threads) slots_to_choices_kernel(RoutingTable routing, const W* values, GradOut<W> choices) {
  const int64_t a = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (a >= routing.n.tokens * routing.n.top_k) return;
  const int64_t slot = routing.slot(a);
  choices.put(a, slot < 0 ? W(0) : values[slot]);
}

template <class T>
void zero_unused(GridQueue queue, const RoutingTable& routing, int64_t channels, T* slots) {
  const bool packs = in_packs<T>(channels, slots);
  launch("moe_zero_unused", packs ? zero_unused_kernel<T, pack_width<T>> : zero_unused_kernel<T, 1>,
         {blocks_for(routing.n.experts * routing.n.capacity, threads), threads}, queue, routing, channels, slots);
}

}  // namespace

template <class T>
void tokens_to_slots(GridQueue queue, const RowsToMove<T>& move, T* slots) {
  zero_unused(queue, move.routing, move.channels, slots);
  const bool packs = in_packs<T>(move.channels, move.rows, slots);
  launch("moe_tokens_to_slots", packs ? tokens_to_slots_kernel<T, pack_width<T>> : tokens_to_slots_kernel<T, 1>,
         {blocks_for(move.routing.n.tokens, warps), threads}, queue, move, slots);
}

template <class T>
void slots_to_tokens(GridQueue queue, const RowsToMove<T>& move, const Wide<T>* weights, GradOut<T> tokens) {
  if (!tokens) return;
  const bool packs = in_packs<T>(move.channels, move.rows, tokens.data);
  launch("moe_slots_to_tokens", packs ? slots_to_tokens_kernel<T, pack_width<T>> : slots_to_tokens_kernel<T, 1>,
         {blocks_for(move.routing.n.tokens, warps), threads}, queue, move, weights, tokens);
}

template <class T>
void combine_backward(GridQueue queue, const CombineBackward<T>& b, GradOut<T> dy, GradOut<Wide<T>> dp) {
  if (!dy && !dp) return;
  if (dy && !dy.add) zero_unused(queue, b.routing, b.channels, dy.data);
  const bool packs = in_packs<T>(b.channels, b.dout, b.y, dy.data);  // of no dy the address is 0
  launch("moe_combine_backward", packs ? combine_backward_kernel<T, pack_width<T>> : combine_backward_kernel<T, 1>,
         {blocks_for(b.routing.n.tokens, warps), threads}, queue, b, dy, dp);
}

template <class W>
void choices_to_slots(GridQueue queue, const RoutingTable& routing, const W* values, W* slots) {
  launch("moe_choices_to_slots", choices_to_slots_kernel<W>,
         {blocks_for(routing.n.experts * routing.n.capacity, threads), threads}, queue, routing, values, slots);
}

template <class W>
void slots_to_choices(GridQueue queue, const RoutingTable& routing, const W* values, GradOut<W> choices) {
  if (!choices) return;
  launch("moe_slots_to_choices", slots_to_choices_kernel<W>, {blocks_for(routing.n.tokens * routing.n.top_k, threads), threads},
         queue, routing, values, choices);
}

#define KAPPA_INSTANTIATE(T)                                                                  \
  template void tokens_to_slots(GridQueue, const RowsToMove<T>&, T*);                         \
  template void slots_to_tokens(GridQueue, const RowsToMove<T>&, const Wide<T>*, GradOut<T>); \
  template void combine_backward(GridQueue, const CombineBackward<T>&, GradOut<T>, GradOut<Wide<T>>);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

#define KAPPA_INSTANTIATE_WIDE(W)                                               \
  template void choices_to_slots(GridQueue, const RoutingTable&, const W*, W*); \
  template void slots_to_choices(GridQueue, const RoutingTable&, const W*, GradOut<W>);
KAPPA_INSTANTIATE_WIDE(double)
KAPPA_INSTANTIATE_WIDE(float)

}  // namespace kappa
