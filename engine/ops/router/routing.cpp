#include "engine/ops/router/routing.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "engine/ops/router/kernels.h"
#include "engine/tensor/dispatch.h"

namespace kappa {

RoutingTable Routing::table() const {
  return {.n = {.tokens = tokens(), .experts = experts, .top_k = top_k(), .capacity = capacity},
          .expert = expert.data<int32_t>(),
          .rank = rank.data<int32_t>(),
          .assignment = assignment.data<int32_t>()};
}

/// Ranks and slots for `expert` [N, K], whose values `select` writes if they are not there yet.
static Routing with_slots(std::string_view op, const Tensor& expert, int64_t experts, int64_t capacity) {
  const Device device = expert.device();
  const Routing routing{.experts = experts,
                        .capacity = capacity,
                        .expert = expert,
                        .rank = Tensor::empty(expert.shape(), DType::i32, device),
                        .assignment = Tensor::empty({experts, capacity}, DType::i32, device)};
  dispatch_integers(op, device, [&](auto queue) {
    assign_slots(queue, routing.table(), routing.rank.data<int32_t>(), routing.assignment.data<int32_t>());
  });
  return routing;
}

static void check_sizes(std::string_view op, int64_t tokens, int64_t top_k, int64_t experts, int64_t capacity) {
  require(experts >= 1, "{}: experts must be at least 1, found {}", op, experts);
  require(top_k >= 1 && top_k <= experts, "{}: top_k must be in 1..{} (the experts), found {}", op, experts, top_k);
  require(capacity >= 1, "{}: capacity must be at least 1, found {}", op, capacity);
  require(tokens <= std::numeric_limits<int32_t>::max() / top_k, "{}: {} tokens with {} choices each are more than int32 counts",
          op, tokens, top_k);
}

Routing route(const Tensor& logits, const Tensor& bias, int64_t top_k, int64_t capacity) {
  static constexpr const char* op = "route";
  const DType dtype = logits.dtype();
  const Device device = logits.device();
  require(logits.shape().rank() == 2, "{}: logits must be [tokens, experts], found {}", op, logits.shape());
  const int64_t tokens = logits.dim(0), experts = logits.dim(1);
  expect(op, "logits", logits, {tokens, experts}, wide(dtype), device);
  if (bias) expect(op, "bias", bias, {experts}, dtype, device);
  check_sizes(op, tokens, top_k, experts, capacity);

  const Tensor expert = Tensor::empty({tokens, top_k}, DType::i32, device);
  dispatch(op, dtype, device, [&]<class T>(T, auto queue) {
    select_experts(queue, ExpertSelection<Wide<T>>{.tokens = tokens,
                                                   .experts = experts,
                                                   .top_k = top_k,
                                                   .logits = logits.data<Wide<T>>(),
                                                   .bias = bias.data<Wide<T>>(),
                                                   .expert = expert.data<int32_t>()});
  });
  return with_slots(op, expert, experts, capacity);
}

Routing impose_routing(const Tensor& expert, int64_t experts, int64_t capacity) {
  static constexpr const char* op = "impose_routing";
  require(expert.shape().rank() == 2, "{}: expert must be [tokens, choices], found {}", op, expert.shape());
  expect(op, "expert", expert, expert.shape(), DType::i32, expert.device());
  check_sizes(op, expert.dim(0), expert.dim(1), experts, capacity);
  const Tensor on_host = moved(expert, Device::cpu);
  dispatch_integers(op, Device::cpu, [&](CpuQueue queue) {
    const OutOfRange found = find_out_of_range(queue, on_host.data<int32_t>(), expert.size(), experts);
    require(found.index < 0, "{}: expert must be in 0..{}, found {} for choice {} of token {}", op, experts - 1, found.value,
            found.index % expert.dim(1), found.index / expert.dim(1));
  });
  return with_slots(op, expert, experts, capacity);
}

Tensor expert_counts(const Routing& routing) {
  const Tensor counts = Tensor::empty({routing.experts}, DType::i32, routing.expert.device());
  dispatch_integers("expert_counts", counts.device(),
                    [&](auto queue) { count_experts(queue, routing.table(), counts.data<int32_t>()); });
  return counts;
}

UsedExperts used_experts(const Routing& routing) {
  require(routing.expert.device() == Device::cpu, "used_experts has no kernels for --device {} yet; --device cpu has them all",
          name_of(routing.expert.device()));
  const Tensor counts = expert_counts(routing);
  std::vector<int32_t> used, place(size_t(routing.experts), -1);
  int64_t slots = 0;
  for (int32_t e = 0; e < routing.experts; ++e) {
    const int64_t count = counts.data<int32_t>()[e];
    if (count == 0) continue;
    place[size_t(e)] = int32_t(used.size());
    used.push_back(e);
    slots = std::max(slots, std::min(count, routing.capacity));
  }
  const auto experts = int64_t(used.size());
  const Tensor number = Tensor::integers(used, {experts});
  // A rank that is dropped is beyond the old capacity, hence beyond the new one; one that is not is below both.
  const Routing kept{.experts = experts,
                     .capacity = slots,
                     .expert = Tensor::empty(routing.expert.shape(), DType::i32, routing.expert.device()),
                     .rank = routing.rank,
                     .assignment = Tensor::empty({experts, slots}, DType::i32, routing.expert.device())};
  dispatch_integers("used_experts", routing.expert.device(), [&](CpuQueue queue) {
    keep_experts(queue, routing.table(), kept.table().n, {number.data<int32_t>(), place.data()}, kept.expert.data<int32_t>(),
                 kept.assignment.data<int32_t>());
  });
  return {number, kept};
}

void expect_routing(std::string_view op, const Routing& routing, int64_t tokens, Device device) {
  expect(op, "routing.expert", routing.expert, {tokens, routing.top_k()}, DType::i32, device);
}

}  // namespace kappa
