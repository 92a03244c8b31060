// The MoE layers of recorded cases through the CUDA kernels: the same model code on another device. What the layer gives is held
// against another implementation's record, its gradients against those of the CPU.

#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/embedding/embedding.h"
#include "engine/ops/rms_norm/rms_norm.h"
#include "model/moe.h"
#include "tests/support/catch.h"
#include "tests/support/gpu.h"
#include "tests/support/paths.h"
#include "tests/support/recorded.h"
#include "tests/support/values.h"
#include "train/config.h"

using namespace kappa;
using namespace kappa::test;

namespace {

struct Recorded {
  ModelConfig config;
  ValuesByName weights, batch, expected;

  explicit Recorded(const char* name) {
    const auto folder = source_dir() / "tests/fixtures/audit" / name;
    config = load_run_config(folder / "config.yaml", {}).model;
    weights = values_in(folder / "weights.safetensors");
    batch = values_in(folder / "batch.safetensors");
    expected = values_in(folder / "expected.safetensors");
  }
  std::string act(int64_t layer, const char* what) const { return fmt::format("act.h.{}.{}", layer, what); }
};

Tensor filled(Shape shape, DType dtype, const std::vector<double>& values, Device device = Device::cpu) {
  const Tensor x = Tensor::empty(shape, dtype, device);
  set_values(x, values);
  return x;
}

/// What goes into the MoE of a layer, from the record of what comes before it: norm(λ·x + λ0·x0 + attention).
Tensor input_of(const Recorded& r, int64_t layer) {
  const int64_t channels = r.config.n_embd, tokens = int64_t(r.batch.at("inputs").numbers.size());
  const Shape rows{1, tokens, channels};
  const auto table = filled({r.config.padded_vocab(), channels}, DType::f32, r.weights.at("transformer.wte.weight").numbers);
  const auto lambda = [&](const char* name) { return filled({1}, DType::f32, {r.weights.at(name).numbers[size_t(layer)]}); };
  const Tensor x0 = rms_norm(embedding(table, filled({1, tokens}, DType::i32, r.batch.at("inputs").numbers)));
  const Tensor before = filled(rows, DType::f32, r.expected.at(r.act(layer - 1, "out")).numbers);
  const Tensor attention = filled(rows, DType::f32, r.expected.at(r.act(layer, "attn")).numbers);
  return rms_norm(add(mix(before, x0, lambda("resid_lambdas"), lambda("x0_lambdas")), attention));
}

/// One MoE layer on a device: what it shows, and its gradients under a cotangent of its own.
struct Layer {
  std::map<std::string, std::vector<double>> shown, gradients;

  Layer(const Recorded& r, int64_t layer, DType dtype, Device device) {
    ParameterStore store;
    GlobalKappa global;
    const Moe moe(Scope(store, "transformer.h") / layer / "mlp", r.config, layer, global);
    store.allocate(dtype, Narrow::none, device);
    for (Parameter& p : store.parameters()) set_values(p.master, r.weights.at(p.spec.name).numbers);
    for (Buffer& b : store.buffers())
      if (const auto saved = r.weights.find(b.spec.name); saved != r.weights.end()) set_values(b.value, saved->second.numbers);
    store.refresh_values();

    const Tensor from = input_of(r, layer);
    Tensor x = filled(from.shape(), dtype, to_doubles(from), device);
    x.track();
    const Tensor slope_max = filled({1}, wide(dtype), {r.config.moe_kappa_slope_max_scale}, device);
    Pass pass;
    pass.trace = [&](Place, const char* what, const Tensor& value) { shown[what] = to_doubles(value); };
    Tape tape;
    Routing routing;
    const Moe::Output out = moe(x, slope_max, pass, {0, layer}, routing);
    shown["mlp"] = to_doubles(out.y);
    std::mt19937_64 random(9);
    contribute_values(out.y, random_values(out.y.size(), random, -1, 1));
    for (const Tensor& loss : {out.aux, out.router_z})
      if (loss) contribute_values(loss, {0.1});
    tape.run();
    gradients["x"] = gradient_of(x);
    for (const Parameter& p : store.parameters()) gradients[p.spec.name] = gradient_of(p.value);
  }
};

void check_case(const char* name, Device device) {
  const Recorded r(name);
  for (int64_t layer = 0; layer < r.config.n_layer; ++layer) {
    if (!r.config.is_moe(layer)) continue;
    INFO(name << ", layer " << layer);
    const Layer found(r, layer, DType::f32, device), cpu(r, layer, DType::f32, Device::cpu);
    for (const char* what : {"router_logits", "top_k_indices", "rank", "confidence", "mlp"}) {
      INFO(what);
      const Values& expected = r.expected.at(r.act(layer, what));
      if (expected.exact)
        CHECK(found.shown.at(what) == expected.numbers);
      else
        CHECK(distance(found.shown.at(what), expected.numbers) <=
              2e-5 * norm(expected.numbers) + 1e-7 * std::sqrt(double(expected.numbers.size())));
    }
    for (const auto& [parameter, gradient] : cpu.gradients) {
      INFO(parameter);
      CHECK(relative_distance(found.gradients.at(parameter), gradient) <= 1e-6);
    }
    CHECK(Layer(r, layer, DType::f32, device).gradients == found.gradients);  // the same bits again
    const Layer half(r, layer, DType::bf16, device), rough(r, layer, DType::bf16, Device::cpu);
    for (const auto& [parameter, gradient] : rough.gradients) {
      INFO(parameter << " in bfloat16");
      CHECK(relative_distance(half.gradients.at(parameter), gradient) <= 0x1p-8);
    }
  }
}

}  // namespace

TEST_CASE("moe on a device: recorded layers through the CUDA kernels, on the host") {
  check_case("kappa_paper_recipe", Device::emulated);
  check_case("aux_free_top4", Device::emulated);
}

TEST_CASE("gpu: recorded MoE layers") {
  if (no_gpu()) return;
  check_case("kappa_paper_recipe", Device::cuda);
  check_case("aux_free_top4", Device::cuda);
}
