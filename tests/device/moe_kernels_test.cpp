// The MoE layer's CUDA kernels at ragged sizes, on the host's model of the grid and on a GPU, against the CPU's: integers
// exactly, each op's values and gradients as support/op_run.h has it.

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
#include "tests/support/op_run.h"
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

/// Every op of the layer at these sizes, with experts chosen from these logits.
std::vector<OpCase> layer_ops(const Sizes& n, int64_t channels, Logits kind) {
  std::mt19937_64 random(11);
  Numbers scores = some_logits(kind, n.tokens, n.experts, random);
  const Tensor logits_here = tensor({n.tokens, n.experts}, DType::f64, scores, Device::cpu);
  const Input choices = integers({n.tokens, n.top_k}, to_doubles(route(logits_here, {}, n.top_k, n.capacity).expert));
  const Input logits{.kind = Kind::wide_activation, .shape = {n.tokens, n.experts}, .values = scores};
  const Input x{Kind::activation, {n.tokens, channels}}, slots{Kind::activation, {n.experts, n.capacity, channels}};
  const Input slot_confidence{Kind::wide_activation, {n.experts, n.capacity}};
  const Input per_choice{Kind::wide_activation, {n.tokens, n.top_k}}, per_unit{Kind::parameter, {n.experts, channels}};
  const Input slope_max{Kind::wide_constant, {1}, 0, 0, {3.5}};
  const auto routing = [n](const Tensor& expert) { return impose_routing(expert, n.experts, n.capacity); };

  std::vector<OpCase> ops{
      {.op = "router_logits",
       .inputs = {x, {Kind::weight, {n.experts, channels}}},
       .call = [](const Tensors& in) -> Tensors {
         const RouterLogits both = router_logits(in[0], in[1], 0.1);
         return {both.main, both.z};
       },
       .bf16_terms = 0x1p-14},  // the GPU splits the logits' gradients into two bfloat16, which errs by 2⁻¹⁷
      {.op = "moe_dispatch",
       .inputs = {x, choices},
       .call = [=](const Tensors& in) -> Tensors { return {moe_dispatch(in[0], routing(in[1]))}; }},
      {.op = "moe_dispatch_confidence",
       .inputs = {per_choice, choices},
       .call = [=](const Tensors& in) -> Tensors { return {moe_dispatch_confidence(in[0], routing(in[1]))}; }},
      {.op = "kappa_swiglu",
       .inputs = {slots, slots, per_unit, slope_max, slot_confidence, per_unit},
       .call = [](const Tensors& in) -> Tensors {
         return {kappa_swiglu({in[0], in[1], in[2], in[3], in[4], in[5]})};
       },
       .bf16_roundings = 8,  // κ is rounded too, and its derivative is steep in g
       .bf16_terms = 0x1p-7},
      {.op = "kappa_swiglu without a confidence",
       .inputs = {slots, slots, per_unit, slope_max},
       .call = [](const Tensors& in) -> Tensors {
         return {kappa_swiglu({.gate = in[0], .up = in[1], .bias = in[2], .slope_max = in[3]})};
       },
       .bf16_roundings = 8,
       .bf16_terms = 0x1p-7},
      {.op = "swiglu", .inputs = {slots, slots}, .call = [](const Tensors& in) -> Tensors { return {swiglu(in[0], in[1])}; }},
      {.op = "moe_combine",
       .inputs = {slots, per_choice, choices},
       .call = [=](const Tensors& in) -> Tensors { return {moe_combine(in[0], in[1], routing(in[2]))}; }},
      {.op = "load_balancing_loss",
       .inputs = {logits, choices},
       .call = [=](const Tensors& in) -> Tensors { return {load_balancing_loss(in[0], routing(in[1]))}; }},
      {.op = "router_z_loss", .inputs = {logits}, .call = [](const Tensors& in) -> Tensors {
         return {router_z_loss(in[0], {.demean = true, .penalize_mean = true})};
       }}};
  // Where σ is 0 or 1, and beyond where e^x leaves the range of float32. (e^x errs by |x| roundings: of a lone element too many.)
  const Input far_out{Kind::activation, slots.shape, -60, 60};
  if (n.tokens > 1) {
    ops.push_back({.op = "kappa_swiglu",
                   .what = "far out",
                   .inputs = {far_out, slots, per_unit, slope_max, slot_confidence, per_unit},
                   .call = [](const Tensors& in) -> Tensors {
                     return {kappa_swiglu({in[0], in[1], in[2], in[3], in[4], in[5]})};
                   },
                   .bf16_roundings = 8,
                   .bf16_terms = 0x1p-7});
    ops.push_back({.op = "swiglu", .what = "far out", .inputs = {far_out, slots}, .call = [](const Tensors& in) -> Tensors {
                     return {swiglu(in[0], in[1])};
                   }});
  }
  for (Confidence confidence : {Confidence::top_logits, Confidence::router_probs})
    ops.push_back(
        {.op = "router_gate",
         .what = confidence == Confidence::top_logits ? "top logits" : "probabilities",
         .inputs = {logits, choices, {Kind::wide_constant, {n.experts}}},
         .call = [=](const Tensors& in) -> Tensors {
           const RouterGate gate = router_gate(
               {.logits = in[0], .routing = routing(in[1]), .kind = confidence, .factors = in[2], .confidence_grad_scale = 0.3});
           return {gate.probability, gate.confidence};
         }});
  return ops;
}

void check_layer(Device device, const Sizes& n, int64_t channels, Logits kind) {
  INFO(n.tokens << " tokens, " << n.experts << " experts, top " << n.top_k << ", " << channels << " channels, kind "
                << int(kind));
  for (const OpCase& c : layer_ops(n, channels, kind)) {
    INFO(c.op << ": " << c.what);
    check_against_cpu(c, device);
  }
}

constexpr int64_t ragged_channels[] = {1, 5, 24, 256, 264, 300, 768, 40};

}  // namespace

TEST_CASE("moe kernels: values and gradients of every op are the CPU's at ragged sizes") {
  host_step_slab().poison(true);
  const int64_t overruns = host_step_slab().overruns();
  for (size_t i = 0; i < std::size(ragged_sizes); ++i)
    check_layer(Device::emulated, ragged_sizes[i], std::min<int64_t>(ragged_channels[i], 300), Logits(i % 4));
  host_step_slab().poison(false);
  CHECK(host_step_slab().overruns() == overruns);
}

TEST_CASE("gpu: values and gradients of every op of the MoE layer are the CPU's at ragged sizes") {
  if (no_gpu()) return;
  for (size_t i = 0; i < std::size(ragged_sizes); ++i)
    for (Logits kind : {Logits::random, Logits::equal, Logits::one_hot_expert, Logits::few_experts})
      check_layer(Device::cuda, ragged_sizes[i], ragged_channels[i], kind);
}

namespace {

/// With one slot an expert's dκ_bias is one term, stored as float32 although the layer is bfloat16: what the approximate
/// exponentials and reciprocals do is seen there, and not lost in a store's rounding. Its share that is off by more than 2⁻¹⁸ is
/// that of κ rounded to the other bfloat16.
void check_approximate_math(Device device) {
  const auto gradient = [](Device where) {
    std::mt19937_64 random(23);
    const Shape shape{64, 1, 256}, units{64, 256};
    const Tensor gate = tensor(shape, DType::bf16, random_values(shape.size(), random, -12, 12), where).track();
    const Tensor up = tensor(shape, DType::bf16, random_values(shape.size(), random), where).track();
    const Tensor bias = parameter(units, DType::f32, DType::f32, where);
    set_values(bias, random_values(units.size(), random));
    Tape tape;
    const Tensor h = kappa_swiglu({.gate = gate, .up = up, .bias = bias, .slope_max = tensor({1}, DType::f32, {4}, where)});
    contribute_values(h, Numbers(size_t(h.size()), 1.0));
    tape.run();
    return gradient_of(bias);
  };
  const Numbers found = gradient(device), expected = gradient(Device::cpu);
  size_t off = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    off += !(std::abs(found[i] - expected[i]) <= 0x1p-18 * std::abs(expected[i]) + 1e-30);
  CHECK(double(off) <= 0x1p-9 * double(expected.size()));
  CHECK(relative_distance(found, expected) <= 0x1p-11);
}

}  // namespace

TEST_CASE("moe kernels: approximate exponentials are within 2⁻¹⁸ of exact ones in what is stored as float32") {
  check_approximate_math(Device::emulated);
}

TEST_CASE("gpu: approximate exponentials are within 2⁻¹⁸ of exact ones in what is stored as float32") {
  if (no_gpu()) return;
  check_approximate_math(Device::cuda);
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
