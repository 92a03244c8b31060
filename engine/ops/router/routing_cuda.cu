// The choice of experts, and ranks and slots, on the GPU: integers, so that no order of execution can show.
//
// Ranks without a one-hot matrix: the assignments in order of rank (k-major, token-minor) are cut into blocks of 1024. Each block
// counts its experts; an exclusive scan over the blocks says how many assignments an expert has before each; then a block ranks
// its own: a lane among its warp by __match_any_sync, a warp among the block by a scan over the warps' counts in shared memory.

#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 256, warps = threads / warp_lanes;
constexpr int rank_threads = 1024, rank_warps = rank_threads / warp_lanes;  // assignments of a block

/// One warp a token. In every round the best expert of those that come after the last one chosen: lower score, or an equal score
/// and a higher index. So no list of those already chosen is needed.
template <class W>
__global__ void __launch_bounds__(threads) select_kernel(ExpertSelection<W> s) {
  const int64_t token = int64_t(blockIdx.x) * warps + threadIdx.x / warp_lanes;
  if (token >= s.tokens) return;
  const int lane = int(threadIdx.x % warp_lanes);
  W last_score = 0;
  int last = -1;
  for (int64_t k = 0; k < s.top_k; ++k) {
    W best_score = -std::numeric_limits<W>::infinity();
    int best = int(s.experts);  // none
    for (int e = lane; e < s.experts; e += warp_lanes) {
      const W score = s.score(token, e);
      const bool left = last < 0 || score < last_score || (score == last_score && e > last);
      if (left && (best == s.experts || score > best_score)) best_score = score, best = e;
    }
    for (unsigned distance = warp_lanes / 2; distance > 0; distance /= 2) {
      const W score = __shfl_xor_sync(full_warp, best_score, distance);
      const int e = __shfl_xor_sync(full_warp, best, distance);
      if (score > best_score || (score == best_score && e < best)) best_score = score, best = e;
    }
    last_score = best_score, last = best;
    if (lane == 0) s.expert[token * s.top_k + k] = best;
  }
}

/// The assignments in order of rank: block b has those of choice k = b / blocks_per_choice and 1024 tokens from there on.
struct RankOrder {
  RoutingExtents n;
  int32_t blocks_per_choice;

  explicit RankOrder(const RoutingExtents& extents)
      : n(extents), blocks_per_choice(int32_t(blocks_for(extents.tokens, rank_threads))) {}
  unsigned blocks() const { return unsigned(n.top_k * blocks_per_choice); }
  /// This thread's assignment n·K + k, or −1.
  __device__ int64_t assignment() const {
    const int32_t k = int32_t(blockIdx.x) / blocks_per_choice;
    const int64_t token = int64_t(int32_t(blockIdx.x) - k * blocks_per_choice) * rank_threads + threadIdx.x;
    return token < n.tokens ? token * n.top_k + k : -1;
  }
};

/// histograms [blocks, E]: how often each block has each expert.
__global__ void __launch_bounds__(rank_threads) histogram_kernel(RankOrder order, const int32_t* expert, int32_t* histograms) {
  const int experts = int(order.n.experts);
  int32_t* const counts = dynamic_shared<int32_t>(size_t(experts));  // [E]
  for (int e = int(threadIdx.x); e < experts; e += rank_threads) counts[e] = 0;
  __syncthreads();
  if (const int64_t a = order.assignment(); a >= 0) atomicAdd(&counts[expert[a]], 1);
  __syncthreads();
  for (int e = int(threadIdx.x); e < experts; e += rank_threads) histograms[int64_t(blockIdx.x) * experts + e] = counts[e];
}

/// One warp an expert: histograms become starts (how many assignments the expert has before each block), counts [E] their totals.
__global__ void __launch_bounds__(threads) scan_kernel(int32_t experts, int32_t blocks, int32_t* histograms, int32_t* counts) {
  const int32_t e = int32_t(blockIdx.x) * warps + int32_t(threadIdx.x) / warp_lanes;
  if (e >= experts) return;
  const int lane = int(threadIdx.x % warp_lanes);
  int32_t before = 0;
  for (int32_t first = 0; first < blocks; first += warp_lanes) {
    int32_t* const place = histograms + int64_t(first + lane) * experts + e;
    const int32_t here = first + lane < blocks ? *place : 0;
    int32_t sum = here;  // of the lanes up to this one
    for (unsigned distance = 1; distance < warp_lanes; distance *= 2) {
      const int32_t lower = __shfl_up_sync(full_warp, sum, distance);
      if (unsigned(lane) >= distance) sum += lower;
    }
    if (first + lane < blocks) *place = before + sum - here;
    before += __shfl_sync(full_warp, sum, warp_lanes - 1);
  }
  if (lane == 0) counts[e] = before;
}

__global__ void __launch_bounds__(rank_threads)
    rank_kernel(RankOrder order, const int32_t* expert, const int32_t* starts, int32_t* rank, int32_t* assignment) {
  const int experts = int(order.n.experts), warp = int(threadIdx.x / warp_lanes), lane = int(threadIdx.x % warp_lanes);
  int32_t* const before = dynamic_shared<int32_t>(size_t(rank_warps) * size_t(experts));  // [warps, E]
  for (int i = int(threadIdx.x); i < rank_warps * experts; i += rank_threads) before[i] = 0;
  __syncthreads();
  const int64_t a = order.assignment();
  const int32_t e = a >= 0 ? expert[a] : -1;
  const unsigned same = __match_any_sync(full_warp, e);
  const int in_warp = __popc(same & ((1u << lane) - 1));
  if (e >= 0 && in_warp == 0) before[warp * experts + e] = __popc(same);
  __syncthreads();
  for (int i = int(threadIdx.x); i < experts; i += rank_threads) {
    int32_t sum = starts[int64_t(blockIdx.x) * experts + i];
    for (int w = 0; w < rank_warps; ++w) {
      const int32_t here = before[w * experts + i];
      before[w * experts + i] = sum;
      sum += here;
    }
  }
  __syncthreads();
  if (e < 0) return;
  const int32_t r = before[warp * experts + e] + in_warp;
  rank[a] = r;
  if (r < order.n.capacity) assignment[e * order.n.capacity + r] = int32_t(a);
}

/// −1 into the slots that nobody has.
__global__ void __launch_bounds__(threads) empty_slots_kernel(int64_t capacity, const int32_t* counts, int32_t* assignment) {
  const int64_t slot = int64_t(blockIdx.x) * threads + threadIdx.x, e = blockIdx.y;
  if (slot < capacity && slot >= counts[e]) assignment[e * capacity + slot] = -1;
}

void count_blocks(GridQueue queue, const RankOrder& order, const int32_t* expert, int32_t* starts, int32_t* counts) {
  const auto experts = int32_t(order.n.experts);
  launch("routing_histogram", histogram_kernel, {order.blocks(), rank_threads, size_t(experts) * sizeof(int32_t)}, queue, order,
         expert, starts);
  launch("routing_scan", scan_kernel, {blocks_for(experts, warps), threads}, queue, experts, int32_t(order.blocks()), starts,
         counts);
}

}  // namespace

template <class W>
void select_experts(GridQueue queue, const ExpertSelection<W>& selection) {
  launch("select_experts", select_kernel<W>, {blocks_for(selection.tokens, warps), threads}, queue, selection);
}

void assign_slots(GridQueue queue, const RoutingTable& table, int32_t* rank, int32_t* assignment) {
  const auto [tokens, experts, top_k, capacity] = table.n;
  const RankOrder order(table.n);
  const Scratch<int32_t> starts(queue, int64_t(order.blocks()) * experts), counts(queue, experts);
  count_blocks(queue, order, table.expert, starts, counts);
  launch("routing_ranks", rank_kernel, {order.blocks(), rank_threads, size_t(rank_warps * experts) * sizeof(int32_t)}, queue,
         order, table.expert, static_cast<const int32_t*>(starts), rank, assignment);
  launch("routing_empty_slots", empty_slots_kernel, {{blocks_for(capacity, threads), unsigned(experts)}, threads}, queue,
         capacity, static_cast<const int32_t*>(counts), assignment);
}

void count_experts(GridQueue queue, const RoutingTable& table, int32_t* counts) {
  const RankOrder order(table.n);
  const Scratch<int32_t> starts(queue, int64_t(order.blocks()) * table.n.experts);
  count_blocks(queue, order, table.expert, starts, counts);
}

template void select_experts(GridQueue, const ExpertSelection<double>&);
template void select_experts(GridQueue, const ExpertSelection<float>&);

}  // namespace kappa
