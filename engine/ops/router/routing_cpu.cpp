#include <algorithm>
#include <utility>

#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/router/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_grain = 256;   // tokens whose experts one tile selects
constexpr int64_t token_block = 1024;  // assignments whose ranks one tile counts

/// The assignments in order of rank, k-major and token-minor, cut into blocks of one k and at most token_block tokens.
struct RankOrder {
  RoutingExtents n;
  int64_t blocks_per_choice = ceil_div(n.tokens, token_block);
  int64_t blocks = n.top_k * blocks_per_choice;

  template <class Body>
  void for_each(int64_t block, Body&& body) const {
    const int64_t k = block / blocks_per_choice, begin = block % blocks_per_choice * token_block;
    const int64_t end = std::min(begin + token_block, n.tokens);
    for (int64_t token = begin; token < end; ++token) body(token * n.top_k + k);
  }
};

/// starts[b, e]: how many assignments expert e has before block b. counts[e]: how many in all.
void count_blocks(const RankOrder& order, const int32_t* expert, int32_t* starts, int32_t* counts) {
  const int64_t experts = order.n.experts;
  parallel_for(order.blocks, [&](int64_t block) {
    int32_t* const histogram = starts + block * experts;
    std::fill_n(histogram, experts, 0);
    order.for_each(block, [&](int64_t a) { ++histogram[expert[a]]; });
  });
  std::fill_n(counts, experts, 0);
  for (int64_t block = 0; block < order.blocks; ++block)
    for (int64_t e = 0; e < experts; ++e) {
      const int32_t here = std::exchange(starts[block * experts + e], counts[e]);
      counts[e] += here;
    }
}

}  // namespace

template <class W>
void select_experts(CpuQueue, const ExpertSelection<W>& selection) {
  parallel_ranges(selection.tokens, token_grain, [&](Range tokens) {
    for (int64_t token = tokens.begin; token < tokens.end; ++token) selection.select(token);
  });
}

void assign_slots(CpuQueue queue, const RoutingTable& table, int32_t* rank, int32_t* assignment) {
  const auto [tokens, experts, top_k, capacity] = table.n;
  const RankOrder order{table.n};
  const Scratch<int32_t> starts(queue, order.blocks * experts), counts(queue, experts);
  count_blocks(order, table.expert, starts, counts);
  parallel_for(order.blocks, [&, experts = experts, capacity = capacity](int64_t block) {
    int32_t* const next = starts + block * experts;
    order.for_each(block, [&](int64_t a) {
      const int32_t e = table.expert[a];
      rank[a] = next[e]++;
      if (rank[a] < capacity) assignment[e * capacity + rank[a]] = int32_t(a);
    });
  });
  parallel_for(experts, [&, capacity = capacity](int64_t e) {
    const int64_t used = std::min<int64_t>(counts[e], capacity);
    std::fill_n(assignment + e * capacity + used, capacity - used, -1);
  });
}

void count_experts(CpuQueue queue, const RoutingTable& table, int32_t* counts) {
  const RankOrder order{table.n};
  const Scratch<int32_t> starts(queue, order.blocks * table.n.experts);
  count_blocks(order, table.expert, starts, counts);
}

void keep_experts(CpuQueue, const RoutingTable& table, const RoutingExtents& kept, KeptExperts experts, int32_t* expert,
                  int32_t* assignment) {
  parallel_ranges(table.n.tokens * table.n.top_k, token_grain, [&](Range choices) {
    for (int64_t a = choices.begin; a < choices.end; ++a) expert[a] = experts.place[table.expert[a]];
  });
  parallel_for(kept.experts, [&](int64_t e) {
    std::copy_n(table.assignment + experts.number[e] * table.n.capacity, kept.capacity, assignment + e * kept.capacity);
  });
}

OutOfRange find_out_of_range(CpuQueue, const int32_t* ids, int64_t n, int64_t bound) {
  const int32_t* const found = std::find_if(ids, ids + n, [&](int32_t id) { return id < 0 || id >= bound; });
  return found == ids + n ? OutOfRange{-1, 0} : OutOfRange{found - ids, *found};
}

template void select_experts(CpuQueue, const ExpertSelection<double>&);
template void select_experts(CpuQueue, const ExpertSelection<float>&);

}  // namespace kappa
