#include "train/optimizers/optimizer.h"

#include <cstring>
#include <map>

#include "engine/device/thread_pool.h"
#include "tests/support/catch.h"
#include "tests/support/values.h"
#include "tests/train/matrix_oracle.h"

using namespace kappa;
using namespace kappa::test;

namespace {

/// The paper's smallest model: 8 layers of width 768, two of them dense, 64 experts.
void declare_headline(ParameterStore& store) {
  constexpr int64_t layers = 8, width = 768, hidden = 3072, heads = 6, experts = 64, vocabulary = 32768;
  store.declare({"resid_lambdas", {layers}, Init::ones(), Role::resid_lambdas});
  store.declare({"x0_lambdas", {layers}, {}, Role::x0_lambdas});
  store.declare({"transformer.wte.weight", {vocabulary, width}, {}, Role::embedding});
  store.declare({"lm_head.weight", {vocabulary, width}, {}, Role::lm_head});
  for (int64_t l = 0; l < layers; ++l) {
    const bool moe = l >= 2;
    const Scope block = Scope(store) / "transformer" / "h" / l;
    const auto matrix = [&](std::string_view name, Shape shape) {
      store.declare({block.name(name), shape, {}, Role::matrix, moe});
    };
    for (const char* projection : {"attn.c_q", "attn.c_k", "attn.c_v", "attn.c_proj"}) matrix(projection, {width, width});
    matrix("attn.ve_gate", {heads, 32});
    if (moe) {
      matrix("mlp.router.w_g", {experts, width});
      for (const char* projection : {"mlp.experts.gate_proj", "mlp.experts.c_fc"}) matrix(projection, {experts, width, hidden});
      matrix("mlp.experts.c_proj", {experts, hidden, width});
      for (const char* kappa : {"mlp.experts.kappa_bias", "mlp.experts.kappa_scale"})
        store.declare({block.name(kappa), {experts, hidden}, {}, Role::kappa, true});
    } else {
      for (const char* projection : {"mlp.gate_proj", "mlp.c_fc"}) matrix(projection, {hidden, width});
      matrix("mlp.c_proj", {width, hidden});
      store.declare({block.name("mlp.kappa_bias"), {hidden}, {}, Role::kappa});
    }
    if (l % 2 == 1) store.declare({fmt::format("value_embeds.{}.weight", l), {vocabulary, width}, {}, Role::value_embedding});
  }
}

/// One parameter of every kind, of sizes that tell axes apart.
void declare_small(ParameterStore& store) {
  store.declare({"resid_lambdas", {3}, Init::ones(), Role::resid_lambdas});
  store.declare({"x0_lambdas", {3}, Init::uniform(0.1), Role::x0_lambdas});
  store.declare({"wte", {11, 6}, Init::normal(1), Role::embedding});
  store.declare({"lm_head", {11, 6}, Init::normal(0.1), Role::lm_head});
  store.declare({"value_embeds", {11, 4}, Init::uniform(0.5), Role::value_embedding});
  store.declare({"c_q", {6, 6}, Init::uniform(0.5), Role::matrix});
  store.declare({"c_k", {6, 6}, Init::uniform(0.5), Role::matrix});
  store.declare({.name = "ve_gate", .shape = {2, 32}, .init = Init::uniform(0.5), .gets_gradient = false});
  store.declare({"gate_proj", {30, 6}, Init::uniform(0.5), Role::matrix});
  store.declare({"kappa_bias", {3, 12}, Init::uniform(0.5), Role::kappa, true});
  store.declare({"router", {3, 6}, Init::uniform(0.5), Role::matrix, true});
  store.declare({"experts.c_fc", {3, 6, 12}, Init::uniform(0.5), Role::matrix, true});
  store.declare({"experts.c_proj", {3, 12, 6}, Init::uniform(0.5), Role::matrix, true});
}

OptimizerSettings small_settings(MatrixOptimizer optimizer, bool match_rms_adamw = true) {
  return {.unembedding_lr = 0.03,
          .embedding_lr = 0.2,
          .scalar_lr = 0.9,
          .matrix_lr = 0.08,
          .adam_beta1 = 0.7,
          .adam_beta2 = 0.9,
          .weight_decay = 0.3,
          .matrix_optimizer = optimizer,
          .match_rms_adamw = match_rms_adamw,
          .depth = 3,
          .model_dim = 6,
          .batch_tokens = 1 << 15};
}

std::vector<double> random_gradients(ParameterStore& store, uint64_t seed) {
  std::vector<double> all;
  for (const Parameter& p : store.parameters()) {
    std::mt19937_64 random(seed + all.size());
    auto values = random_values(p.spec.shape.size(), random);
    if (p.spec.name == "experts.c_fc") std::fill(values.end() - 72, values.end(), 0.0);  // an expert that saw no token
    if (p.spec.name == "ve_gate") std::ranges::fill(values, 0.0);
    const Gradient& g = *p.master.gradient();
    set_values(Tensor::over(g.memory, g.shape, g.dtype), values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

std::vector<double> all_masters(const ParameterStore& store) {
  std::vector<double> all;
  for (const Parameter& p : store.parameters()) {
    const auto values = to_doubles(p.master);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// The whole optimizer in double, from the table of groups, number by number.
class Oracle {
 public:
  Oracle(const ParameterStore& store, const OptimizerSettings& s) : settings_(s) {
    for (const Parameter& p : store.parameters()) parameters_.push_back({&p.spec, to_doubles(p.master), {}, {}, {}, 0});
  }

  void step(const std::vector<double>& gradients, const StepSettings& step) {
    auto g = gradients.begin();
    for (State& s : parameters_) {
      const std::vector<double> gradient(g, g + int64_t(s.p.size()));
      g += int64_t(s.p.size());
      const Role role = s.spec->role;
      const bool lambdas = role == Role::resid_lambdas || role == Role::x0_lambdas;
      if (s.spec->name == "ve_gate" || (role == Role::kappa && !step.update_kappa) || (lambdas && !step.update_lambdas)) continue;
      role == Role::matrix ? matrix(s, gradient, step) : adamw(s, gradient, step);
    }
  }

  std::vector<double> values() const {
    std::vector<double> all;
    for (const State& s : parameters_) all.insert(all.end(), s.p.begin(), s.p.end());
    return all;
  }

 private:
  struct State {
    const ParameterSpec* spec;
    std::vector<double> p, m, v;
    std::vector<Learned> matrices;
    int count;
  };

  void adamw(State& s, const std::vector<double>& g, const StepSettings& step) {
    const double eta = 0.25;  // √(2¹⁵/2¹⁹)
    const double dim = 1 / std::sqrt(6.0 / 768.0);
    std::map<Role, double> rate{{Role::lm_head, 0.03 * dim},        {Role::embedding, 0.2 * dim},
                                {Role::value_embedding, 0.2 * dim}, {Role::kappa, 0.2 * dim * step.kappa_lr_scale},
                                {Role::resid_lambdas, 0.9 * 0.01},  {Role::x0_lambdas, 0.9}};
    const double lr = rate.at(s.spec->role) * eta * step.lr_multiplier;
    const auto [beta1, beta2] = s.spec->role == Role::x0_lambdas ? std::pair(0.96, 0.95) : std::pair(0.7, 0.9);
    s.m.resize(s.p.size()), s.v.resize(s.p.size());
    ++s.count;
    for (size_t i = 0; i < s.p.size(); ++i) {
      s.m[i] = beta1 * s.m[i] + (1 - beta1) * g[i];
      s.v[i] = beta2 * s.v[i] + (1 - beta2) * g[i] * g[i];
      s.p[i] -= lr * s.m[i] / (1 - std::pow(beta1, s.count)) / (std::sqrt(s.v[i] / (1 - std::pow(beta2, s.count))) + 1e-10);
    }
  }

  void matrix(State& s, const std::vector<double>& g, const StepSettings& step) {
    const Shape& shape = s.spec->shape;
    const size_t m = size_t(shape[-2]), n = size_t(shape[-1]), count = s.p.size() / (m * n);
    const bool muon = settings_.matrix_optimizer == MatrixOptimizer::muon;
    const double longer = double(std::max(m, n));
    const OracleRates rates{.lr = 0.08 * 0.25 * step.lr_multiplier,
                            .weight_decay = 0.3 * 16 * step.weight_decay_factor,  // (12/3)²
                            .momentum = muon ? step.muon_momentum : 0.95,
                            .scale = settings_.match_rms_adamw ? std::min(1.0, 0.2 * std::sqrt(longer))
                                                               : std::sqrt(std::max(1.0, double(m) / double(n)))};
    for (size_t e = 0; e < count; ++e) {
      const auto part = [&](const std::vector<double>& x) {
        return Matrix{m, n, {x.begin() + int64_t(e * m * n), x.begin() + int64_t((e + 1) * m * n)}};
      };
      if (s.matrices.size() == e) s.matrices.push_back({.p = part(s.p)});
      Learned& learned = s.matrices[e];
      muon ? learned.muon(part(g), rates) : learned.aurora(part(g), rates);
      std::ranges::copy(learned.p.x, s.p.begin() + int64_t(e * m * n));
    }
  }

  OptimizerSettings settings_;
  std::vector<State> parameters_;
};

/// A run of a few steps that uses everything a step can be told.
const std::vector<StepSettings> steps{
    {.lr_multiplier = 0.5, .kappa_lr_scale = 0, .muon_momentum = 0.85, .update_lambdas = false},
    {.lr_multiplier = 1, .kappa_lr_scale = 0.25, .weight_decay_factor = 0.75, .muon_momentum = 0.9},
    {.lr_multiplier = 0.75, .weight_decay_factor = 0.5, .update_kappa = false},
    {.lr_multiplier = 0.25, .kappa_lr_scale = 0.5, .weight_decay_factor = 0.25}};

}  // namespace

TEST_CASE("optimizer: the paper's groups") {
  ParameterStore store;
  declare_headline(store);
  std::vector<std::pair<std::string, int64_t>> groups;
  int64_t total = 0;
  for (const ParameterGroup& group : group_parameters(store)) {
    groups.emplace_back(group.name, group.elements);
    total += group.elements;
  }
  CHECK(groups == std::vector<std::pair<std::string, int64_t>>{{"lm_head", 25165824},
                                                               {"wte", 25165824},
                                                               {"value_embeds", 100663296},
                                                               {"kappa", 2365440},
                                                               {"resid_lambdas", 8},
                                                               {"x0_lambdas", 8},
                                                               {"dense [6, 32]", 384},
                                                               {"dense [768, 768]", 4718592},
                                                               {"dense [768, 3072]", 4718592},
                                                               {"dense [3072, 768]", 9437184},
                                                               {"moe [6, 32]", 1152},
                                                               {"moe [64, 768]", 294912},
                                                               {"moe [64, 768, 3072]", 1811939328},
                                                               {"moe [64, 3072, 768]", 905969664},
                                                               {"moe [768, 768]", 14155776}});
  CHECK(total == 2904595984);
  CHECK(group_parameters(store)[3].members.size() == 14);
}

TEST_CASE("optimizer: the paper's learning rates") {
  const StepRates r = rates_at({.depth = 8, .model_dim = 768, .batch_tokens = 262144}, {.muon_momentum = 0.5});
  CHECK(r.lr.lm_head == Approx(0.00282843).margin(5e-9));
  CHECK(r.lr.embedding == Approx(0.21213203).margin(5e-9));
  CHECK(r.lr.kappa == Approx(0.21213203).margin(5e-9));
  CHECK(r.lr.resid_lambdas == Approx(0.00353553).margin(5e-9));
  CHECK(r.lr.x0_lambdas == Approx(0.35355339).margin(5e-9));
  CHECK(r.lr.matrix == Approx(0.00707107).margin(5e-9));
  CHECK(r.weight_decay == Approx(0.1125).epsilon(1e-12));
  CHECK(r.matrix_momentum == 0.95);  // Aurora's
  CHECK(rates_at({.matrix_optimizer = MatrixOptimizer::muon}, {.muon_momentum = 0.5}).matrix_momentum == 0.5);

  const StepRates wide = rates_at({.depth = 24, .model_dim = 2304, .batch_tokens = 1 << 20},
                                  {.lr_multiplier = 0.5, .kappa_lr_scale = 0.25, .weight_decay_factor = 0.5});
  CHECK(wide.lr.lm_head == Approx(0.5 * std::sqrt(2) * 0.577350 * 0.004).epsilon(1e-6));
  CHECK(wide.lr.kappa == Approx(0.125 * std::sqrt(2) * 0.577350 * 0.3).epsilon(1e-6));
  CHECK(wide.lr.x0_lambdas == Approx(0.5 * std::sqrt(2) * 0.5).epsilon(1e-12));
  CHECK(wide.weight_decay == Approx(0.00625).epsilon(1e-12));
}

TEST_CASE("optimizer: scales by batch, width and depth") {
  CHECK(batch_lr_scale(262144) == Approx(0.70710678).margin(5e-9));
  CHECK(batch_lr_scale(1 << 20) == Approx(1.41421356).margin(5e-9));
  for (const auto& [dim, scale] :
       std::vector<std::pair<int64_t, double>>{{384, 1.414214}, {640, 1.095445}, {768, 1}, {2688, 0.534522}})
    CHECK(model_dim_lr_scale(dim) == Approx(scale).margin(5e-7));
  for (const auto& [depth, decay] : std::vector<std::pair<int64_t, double>>{{4, 0.45}, {8, 0.1125}, {12, 0.05}, {28, 0.00918367}})
    CHECK(0.05 * depth_decay_scale(depth) == Approx(decay).margin(5e-9));
}

TEST_CASE("optimizer: a run of all roles follows the recipe") {
  for (const MatrixOptimizer optimizer : {MatrixOptimizer::aurora, MatrixOptimizer::muon})
    for (const bool match_rms : {true, false})
      for (const DType dtype : {DType::f64, DType::f32}) {
        INFO((optimizer == MatrixOptimizer::muon ? "muon, " : "aurora, ") << match_rms << ", " << name_of(dtype));
        ParameterStore store;
        declare_small(store);
        store.allocate(dtype);
        store.initialize(5);
        const OptimizerSettings settings = small_settings(optimizer, match_rms);
        Oracle oracle(store, settings);
        Optimizer ours(store, settings);
        for (size_t i = 0; i < steps.size(); ++i) {
          oracle.step(random_gradients(store, 100 * i), steps[i]);
          ours.step(steps[i]);
          size_t at = 0;
          const auto all = oracle.values();
          for (const Parameter& p : store.parameters()) {
            INFO("step " << i << ", " << p.spec.name);
            const auto begin = all.begin() + int64_t(at);
            const std::vector<double> expected(begin, begin + p.spec.shape.size());
            CHECK(relative_distance(to_doubles(p.master), expected) <= (dtype == DType::f64 ? 1e-12 : 2e-5));
            at += expected.size();
          }
        }
      }
}

TEST_CASE("optimizer: an expert without gradient only decays, a parameter that never has one stands still") {
  ParameterStore store;
  declare_small(store);
  store.allocate(DType::f64);
  store.initialize(1);
  const OptimizerSettings settings = small_settings(MatrixOptimizer::aurora);
  Optimizer optimizer(store, settings);
  const auto fc = to_doubles(store.find("experts.c_fc")->master), gate = to_doubles(store.find("ve_gate")->master);
  random_gradients(store, 1);
  optimizer.step({});
  const auto moved = to_doubles(store.find("experts.c_fc")->master);
  for (size_t i = 144; i < 216; ++i) CHECK(moved[i] == Approx(fc[i] * (1 - 0.02 * 4.8)).epsilon(1e-14));
  CHECK(moved[0] != Approx(fc[0] * (1 - 0.02 * 4.8)).epsilon(1e-3));
  CHECK(to_doubles(store.find("ve_gate")->master) == gate);
}

TEST_CASE("optimizer: after a step gradients are zero and compute copies are the rounded masters") {
  ParameterStore store;
  declare_small(store);
  store.allocate(DType::bf16);
  store.initialize(1);
  Optimizer optimizer(store, small_settings(MatrixOptimizer::aurora));
  const auto before = to_doubles(store.find("c_q")->value);
  random_gradients(store, 1);
  optimizer.step({});
  CHECK(to_doubles(store.find("c_q")->value) != before);
  for (const Parameter& p : store.parameters()) {
    auto rounded = to_doubles(p.master);
    if (!p.always_wide())
      for (double& x : rounded) x = float(bfloat16(float(x)));
    CHECK(to_doubles(p.value) == rounded);
    CHECK(gradient_of(p.master) == std::vector<double>(rounded.size(), 0.0));
  }
}

TEST_CASE("optimizer: state has names, an exact size, and takes a run up where another left it") {
  for (const MatrixOptimizer kind : {MatrixOptimizer::aurora, MatrixOptimizer::muon}) {
    const OptimizerSettings settings = small_settings(kind);
    const auto make = [&](ParameterStore& store) {
      declare_small(store);
      store.allocate(DType::f32);
      store.initialize(9);
    };
    const auto run = [&](ParameterStore& store, Optimizer& optimizer, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        random_gradients(store, 100 * i);
        optimizer.step(steps[i]);
      }
    };
    ParameterStore whole, early, late;
    make(whole), make(early), make(late);
    Optimizer through(whole, settings), first(early, settings), second(late, settings);
    run(whole, through, 0, 4);

    run(early, first, 0, 2);
    std::map<std::string, Tensor> saved;
    int64_t bytes = 0;
    for (const StateTensor& s : first.state()) {
      CHECK(saved.emplace(s.name, s.value).second);
      bytes += PersistentSlab::footprint(s.value.bytes());
    }
    CHECK(first.state_bytes() == bytes);
    CHECK(Optimizer::state_bytes(early, settings, DType::bf16) == bytes);
    CHECK(saved.contains("wte.first_moment"));
    CHECK(saved.contains("wte.second_moment"));
    CHECK(saved.at("wte.updates").data<int32_t>()[0] == 2);
    CHECK(saved.at("x0_lambdas.updates").data<int32_t>()[0] == 1);  // held still in the first step
    CHECK(saved.at("experts.c_fc.momentum").shape() == Shape{3, 6, 12});
    CHECK(saved.contains("experts.c_fc.second_moment") == (kind == MatrixOptimizer::muon));
    if (kind == MatrixOptimizer::muon) CHECK(saved.at("experts.c_fc.second_moment").shape() == Shape{3, 12});
    CHECK_FALSE(saved.contains("ve_gate.momentum"));

    REQUIRE(second.state().size() == first.state().size());
    for (const StateTensor& s : second.state()) std::memcpy(s.value.raw(), saved.at(s.name).raw(), size_t(s.value.bytes()));
    for (size_t i = 0; i < early.parameters().size(); ++i)
      set_values(late.parameters()[i].master, to_doubles(early.parameters()[i].master));
    run(late, second, 2, 4);
    CHECK(all_masters(late) == all_masters(whole));
  }
}

TEST_CASE("optimizer: the same bits for any number of threads") {
  const int before = threads();
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    ParameterStore store;
    declare_small(store);
    store.allocate(DType::f32);
    store.initialize(3);
    Optimizer optimizer(store, small_settings(MatrixOptimizer::aurora));
    for (size_t i = 0; i < steps.size(); ++i) {
      random_gradients(store, i);
      optimizer.step(steps[i]);
    }
    results.push_back(all_masters(store));
  }
  set_threads(before);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}

TEST_CASE("optimizer: what cannot be is refused") {
  ParameterStore vectors;
  vectors.declare({"norm", {4}, {}, Role::matrix});
  CHECK_THROWS_WITH(group_parameters(vectors), "norm: a matrix parameter is [m, n] or [E, m, n], found [4]");

  ParameterStore store;
  declare_small(store);
  store.allocate(DType::f32);
  Optimizer optimizer(store, small_settings(MatrixOptimizer::aurora));
  auto& gradient = *store.find("kappa_bias")->master.gradient();
  reinterpret_cast<float*>(gradient.memory.get())[13] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(optimizer.step({}), "kappa_bias: the gradient is inf at [1, 1]");
}
