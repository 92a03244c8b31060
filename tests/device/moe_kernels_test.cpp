// The MoE layer's CUDA kernels at ragged sizes, on the host's model of the grid, against the CPU's: integers exactly, float32 to
// 1e-6 of the norm, bfloat16 to one rounding of each stored value.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/device/grid_gemm.h"
#include "engine/device/host_grid.h"
#include "engine/memory/scratch.h"
#include "engine/ops/kappa_swiglu/kappa_swiglu.h"
#include "engine/ops/moe_dispatch/moe_dispatch.h"
#include "engine/ops/router/router_gate.h"
#include "engine/ops/router/router_logits.h"
#include "engine/ops/router_losses/router_losses.h"
#include "engine/ops/swiglu/swiglu.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"
#include "tests/support/sum_tolerance.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Numbers = std::vector<double>;

Tensor tensor(Shape shape, DType dtype, const Numbers& values, Device device) {
  const Tensor x = Tensor::empty(shape, dtype, device);
  set_values(x, values);
  return x;
}

enum class Logits { random, equal, one_hot_expert, few_experts, with_nan };

/// [N, E] of one of these kinds. All are values that ties are common among, so that the rule for ties is tested.
Numbers some_logits(Logits kind, int64_t tokens, int64_t experts, std::mt19937_64& random) {
  Numbers all(size_t(tokens * experts));
  for (size_t i = 0; i < all.size(); ++i) {
    const auto e = int64_t(i) % experts;
    const double value = double(int64_t(random() % 64)) / 16 - 2;
    all[i] = kind == Logits::equal                                ? 0.5
             : kind == Logits::one_hot_expert && e == experts / 2 ? 9
             : kind == Logits::few_experts && e % 5 != 0          ? value - 50
             : kind == Logits::with_nan && random() % 3 == 0      ? std::nan("")
                                                                  : value;
  }
  return all;
}

struct Sizes {
  int64_t tokens, experts, top_k, capacity;
};
constexpr Sizes ragged_sizes[] = {{1, 1, 1, 1},     {7, 2, 2, 4},     {31, 3, 1, 11},    {33, 8, 3, 13},
                                  {257, 33, 2, 17}, {300, 160, 8, 7}, {1025, 64, 2, 33}, {1100, 5, 4, 470}};

Numbers everything_in(const Routing& r) {
  Numbers all = to_doubles(r.expert);
  for (const Tensor& x : {r.rank, r.assignment, expert_counts(r)})
    for (double value : to_doubles(x)) all.push_back(value);
  return all;
}

}  // namespace

TEST_CASE("moe kernels: choices, ranks and slots are the CPU's, exactly") {
  std::mt19937_64 random(3);
  for (const Sizes& n : ragged_sizes)
    for (Logits kind : {Logits::random, Logits::equal, Logits::one_hot_expert, Logits::few_experts, Logits::with_nan}) {
      INFO(n.tokens << " tokens, " << n.experts << " experts, top " << n.top_k << ", capacity " << n.capacity << ", kind "
                    << int(kind));
      const Numbers logits = some_logits(kind, n.tokens, n.experts, random), bias = random_values(n.experts, random, -0.2, 0.2);
      const auto routed = [&](Device device, bool biased) {
        return everything_in(route(tensor({n.tokens, n.experts}, DType::f32, logits, device),
                                   biased ? tensor({n.experts}, DType::f32, bias, device) : Tensor(), n.top_k, n.capacity));
      };
      const bool biased = kind == Logits::equal || kind == Logits::with_nan;
      const Numbers expected = routed(Device::cpu, biased);
      for (auto order : {host_grid::Order::ascending, biased ? host_grid::Order::descending : host_grid::Order::shuffled}) {
        const host_grid::OrderScope scope(order);
        CHECK(routed(Device::emulated, biased) == expected);
      }
    }
}

TEST_CASE("moe kernels: ranks are those of a stable sort") {
  std::mt19937_64 random(5);
  const int64_t tokens = 3000, experts = 7, top_k = 3;
  Numbers choices(size_t(tokens * top_k));
  for (size_t i = 0; i < choices.size(); ++i) choices[i] = double((random() % 4 == 0 ? 2 : random()) % uint64_t(experts));
  const Numbers rank =
      to_doubles(impose_routing(tensor({tokens, top_k}, DType::i32, choices, Device::emulated), experts, 50).rank);
  std::vector<size_t> order;  // k-major, token-minor
  for (size_t k = 0; k < size_t(top_k); ++k)
    for (size_t t = 0; t < size_t(tokens); ++t) order.push_back(t * size_t(top_k) + k);
  std::ranges::stable_sort(order, {}, [&](size_t a) { return choices[a]; });
  for (size_t i = 0, first = 0; i < order.size(); ++i) {
    if (choices[order[i]] != choices[order[first]]) first = i;
    REQUIRE(rank[order[i]] == double(i - first));
  }
}

namespace {

/// Values and gradients of a whole pass through router, dispatch, κ-SwiGLU and combine, without products.
std::vector<Numbers> everything_of(Device device, DType dtype, const Sizes& n, int64_t channels, Logits kind,
                                   Confidence confidence) {
  std::mt19937_64 random(11);
  const DType full = wide(dtype);
  const Shape rows{n.tokens, channels}, gates{n.experts, channels};
  const Tensor logits = tensor({n.tokens, n.experts}, full, some_logits(kind, n.tokens, n.experts, random), device).track();
  const Tensor x = tensor(rows, dtype, random_values(rows.size(), random), device).track();
  Tensor bias = parameter(gates, full, full, device), scale = parameter(gates, full, full, device);
  set_values(bias, random_values(gates.size(), random)), set_values(scale, random_values(gates.size(), random));
  const Tensor slope_max = tensor({1}, full, {3.5}, device);
  const Tensor weight = tensor(gates, dtype, random_values(gates.size(), random), device);

  Tape tape;
  const Routing routing = route(logits, {}, n.top_k, n.capacity);
  const RouterGate gate = router_gate({.logits = logits,
                                       .routing = routing,
                                       .kind = confidence,
                                       .factors = confidence_factors(weight, 0.5),
                                       .confidence_grad_scale = 0.3});
  const Tensor slots = moe_dispatch(x, routing);
  const Tensor h = kappa_swiglu({.gate = slots,
                                 .up = swiglu(slots, slots),
                                 .bias = bias,
                                 .slope_max = slope_max,
                                 .confidence = moe_dispatch_confidence(gate.confidence, routing),
                                 .scale = scale});
  const Tensor out = moe_combine(h, gate.probability, routing);
  const Tensor aux = load_balancing_loss(logits, routing), z = router_z_loss(logits, {.demean = true, .penalize_mean = true});
  contribute_values(out, random_values(out.size(), random)), contribute_values(aux, {0.7}), contribute_values(z, {-0.4});
  tape.run();
  return {to_doubles(gate.probability),
          to_doubles(gate.confidence),
          to_doubles(slots),
          to_doubles(h),
          to_doubles(out),
          to_doubles(aux),
          to_doubles(z),
          gradient_of(x),
          gradient_of(logits),
          gradient_of(bias),
          gradient_of(scale)};
}

void compare(Device device, const Sizes& n, int64_t channels, Logits kind, Confidence confidence) {
  INFO(n.tokens << " tokens, " << n.experts << " experts, top " << n.top_k << ", " << channels << " channels, kind "
                << int(kind));
  const auto expected = everything_of(Device::cpu, DType::f32, n, channels, kind, confidence);
  const auto found = everything_of(device, DType::f32, n, channels, kind, confidence);
  for (size_t r = 0; r < expected.size(); ++r) {
    INFO("result " << r);
    CHECK(relative_distance(found[r], expected[r]) <= sum_tolerance);
  }
  for (auto order : {host_grid::Order::descending, host_grid::Order::shuffled}) {  // the same bits again, in any order
    const host_grid::OrderScope scope(order);
    CHECK(everything_of(device, DType::f32, n, channels, kind, confidence) == found);
  }

  const auto rough = everything_of(Device::cpu, DType::bf16, n, channels, kind, confidence);
  const auto half = everything_of(device, DType::bf16, n, channels, kind, confidence);
  for (size_t r = 0; r < rough.size(); ++r) {
    INFO("bfloat16 result " << r);
    CHECK(relative_distance(half[r], rough[r]) <= 0x1p-9);  // most are equal; a chain of roundings moves some by one
  }
}

}  // namespace

TEST_CASE("moe kernels: values and gradients are the CPU's at ragged sizes") {
  host_step_slab().poison(true);
  const int64_t overruns = host_step_slab().overruns();
  const int64_t channels[] = {1, 5, 24, 256, 264, 300, 8, 40};
  for (size_t i = 0; i < std::size(ragged_sizes); ++i)
    compare(Device::emulated, ragged_sizes[i], channels[i], Logits(i % 4),
            i % 2 == 0 ? Confidence::top_logits : Confidence::router_probs);
  host_step_slab().poison(false);
  CHECK(host_step_slab().overruns() == overruns);
}

TEST_CASE("gpu: MoE kernels give the CPU's values and gradients at ragged sizes") {
  if (no_gpu()) return;
  const int64_t channels[] = {1, 5, 24, 256, 264, 300, 768, 40};
  for (size_t i = 0; i < std::size(ragged_sizes); ++i)
    for (Logits kind : {Logits::random, Logits::equal, Logits::one_hot_expert, Logits::few_experts})
      compare(Device::cuda, ragged_sizes[i], channels[i], kind, i % 2 == 0 ? Confidence::top_logits : Confidence::router_probs);
}

namespace {

/// C [batch, m, n] of a product on `queue`, on top of what is there if `add`.
template <class T, class C, class Gemm>
Numbers product(Device device, const GemmShape& s, bool add, Gemm gemm_of) {
  std::mt19937_64 random(17);
  const auto filled = [&](int64_t n, DType dtype) { return tensor({n}, dtype, random_values(n, random, -1, 1), device); };
  const Tensor a = filled(s.batch * s.m * s.k, TypeOf<T>::value), b = filled(s.batch * s.k * s.n, TypeOf<T>::value);
  const Tensor c = filled(s.batch * s.m * s.n, TypeOf<C>::value);
  gemm_of(s, a.data<T>(), b.data<T>(), GradOut<C>{c.data<C>(), add});
  return to_doubles(c);
}

/// `gemm_of` on `device` against the CPU's products, for every transposition, added or not.
template <class T, class C, class Gemm>
void check_products(Device device, double tolerance, Gemm gemm_of) {
  const std::array<int64_t, 4> sizes[] = {{1, 1, 1, 1}, {33, 70, 17, 1}, {5, 40, 100, 3}, {64, 32, 16, 2}, {40, 3, 0, 2}};
  for (const auto& [m, n, k, batch] : sizes)
    for (int flags = 0; flags < 8; ++flags) {
      const GemmShape s{.m = m, .n = n, .k = k, .transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0, .batch = batch};
      INFO(m << "×" << n << "×" << k << ", batch " << batch << ", flags " << flags);
      const auto on_cpu = [](auto&&... x) { gemm(CpuQueue{}, x...); };
      const bool add = (flags & 4) != 0;
      CHECK(relative_distance(product<T, C>(device, s, add, gemm_of), product<T, C>(Device::cpu, s, add, on_cpu)) <= tolerance);
    }
}

/// For all types.
template <class Gemm>
void check_all_products(Device device, Gemm gemm_of) {
  check_products<double, double>(device, 1e-14, gemm_of);
  check_products<float, float>(device, 1e-6, gemm_of);
  check_products<bfloat16, float>(device, 1e-6, gemm_of);
  check_products<bfloat16, bfloat16>(device, 0x1p-9, gemm_of);
}

}  // namespace

TEST_CASE("tiled gemm: the CPU's products, for every transposition and added or not") {
  check_all_products(Device::emulated, [](auto&&... x) { tiled_gemm(EmulatedQueue{}, x...); });
}

#ifdef KAPPA_WITH_CUDA
TEST_CASE("gpu: products by cuBLASLt and by the tiled kernel are the CPU's") {
  if (no_gpu()) return;
  check_all_products(Device::cuda, [](auto&&... x) { tiled_gemm(cuda::queue(), x...); });
  check_all_products(Device::cuda, [](auto&&... x) { gemm(cuda::queue(), x...); });
}
#endif
