// Every op that a model records has a case of its own; and recompute(), which is no op, is tested here.

#include <algorithm>
#include <set>

#include "engine/autograd/tape.h"
#include "engine/ops/elementwise/elementwise.h"
#include "engine/ops/scalars/scalars.h"
#include "engine/ops/swiglu/swiglu.h"
#include "model/gpt.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"
#include "tests/support/values.h"
#include "train/objective.h"

using namespace kappa;
using namespace kappa::test;

namespace {

ModelConfig small() {
  ModelConfig c;
  c.sequence_len = 12, c.vocab_size = 70;
  c.n_layer = 3, c.n_head = 2, c.n_embd = 32;  // layers 0 and 2 have value embeddings
  c.window_pattern = "SL";
  c.n_exp = 4, c.moe_start_layer = 1, c.num_moe_layers = 1;
  return c;
}

ModelConfig kappa_model(KappaInput input, KappaGranularity granularity) {
  ModelConfig c = small();
  c.use_kappa_swiglu = c.constant_kappa_dense_layers = c.kappa_ema_rms_reg = true;
  c.kappa_input = input, c.kappa_granularity = granularity;
  c.kappa_l2_ema_anchor_start = c.kappa_l2_ema_anchor_end = 0.5;
  return c;
}

std::vector<ModelConfig> models() {
  std::vector<ModelConfig> all{small(), kappa_model(KappaInput::top_logits, KappaGranularity::per_gate),
                               kappa_model(KappaInput::router_probs, KappaGranularity::per_expert),
                               kappa_model(KappaInput::constant, KappaGranularity::per_layer),
                               kappa_model(KappaInput::top_logits, KappaGranularity::global)};
  ModelConfig dense = small();
  dense.n_exp = 0, dense.n_kv_head = 1, dense.loss_recompute_backward = false;
  ModelConfig other = small();
  other.dense_mlp = DenseMlp::relu2, other.expert_mlp = ExpertMlp::bilinear, other.use_noisy_top_k = true;
  ModelConfig free = small();
  free.load_balancing = LoadBalancing::aux_free, free.use_router_z_loss = false, free.moe_top_k = 3;
  ModelConfig looped = all[1];
  looped.total_ut_steps = 2, looped.activation_checkpointing = true;
  all.insert(all.end(), {dense, other, free, looped});
  for (ModelConfig& c : all) c = resolved(c);
  return all;
}

/// The names of the ops of one training pass.
std::set<std::string> ops_of(const ModelConfig& config) {
  Gpt model(config, DType::f32);
  model.initialize(1);
  std::vector<int32_t> ids(24);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(7 * i % 70);
  const Tensor inputs = Tensor::integers(ids, {2, 12}), targets = Tensor::integers(ids, {2, 12});
  const auto pass = [&](int64_t step) {
    Tape tape;
    const Tensor loss = objective(model.losses(inputs, targets, {.step = step, .total_steps = 10}), {1, 1, 1, 1});
    const auto names = tape.ops();
    tape.backward(loss);
    return std::set<std::string>(names.begin(), names.end());
  };
  pass(5);  // κ's floors are taken from here
  return pass(6);
}

}  // namespace

TEST_CASE("every op that a model records has a case") {
  std::set<std::string> cases{"recompute"};
  for (const OpCase& c : all_cases()) cases.insert(c.op);
  std::set<std::string> recorded;
  for (const ModelConfig& config : models()) recorded.merge(ops_of(config));
  for (const std::string& op : recorded) {
    INFO(op << " has no OpCase");
    CHECK(cases.contains(op));
  }
  // What the models above are there for, lest they record less than they should.
  for (const char* op : {"attention", "rms_floor", "relu_squared", "multiply", "swiglu", "value_gate", "expand", "recompute"}) {
    INFO(op);
    CHECK(recorded.contains(op));
  }
  CHECK(recorded.size() >= 20);
}

namespace {

using Function = std::function<Tensors(const Tensors&)>;

/// Leaves with these values.
Tensor leaf(Shape shape, const std::vector<double>& values) {
  Tensor x = Tensor::empty(shape, DType::f64);
  set_values(x, values);
  return x.track();
}

struct Gradients {
  std::vector<double> loss, a, b, weight;
  std::vector<std::string> ops;
};

/// Runs outputs = fn({a, b}) on the way to a loss that weighs them differently, forwards and backwards.
Gradients gradients_of(const Function& fn, const Tensor& weight) {
  const Tensor a = leaf({3}, {0.5, -1, 2}), b = leaf({3}, {1, 0.25, -0.75});
  set_values(Tensor::over(weight.gradient()->memory, weight.shape(), DType::f64), {0, 0, 0});
  Tape tape;
  const Tensors outputs = fn({a, b});
  Tensors squares;
  for (const Tensor& y : outputs) squares.push_back(mean_square(add(y, a)));  // a is used outside too
  const Tensor weights = Tensor::empty({int64_t(squares.size())}, DType::f64);
  for (int64_t i = 0; i < weights.size(); ++i) weights.data<double>()[i] = 1.0 + double(i);
  const Tensor loss = weighted_sum(squares, weights);
  Gradients g{.loss = to_doubles(loss), .ops = {}};
  for (std::string_view op : tape.ops()) g.ops.emplace_back(op);
  tape.backward(loss);
  g.a = gradient_of(a), g.b = gradient_of(b), g.weight = gradient_of(weight);
  return g;
}

void check_same(const Gradients& x, const Gradients& y) {
  CHECK(x.loss == y.loss);
  CHECK(relative_distance(x.a, y.a) < 1e-15);
  CHECK(relative_distance(x.b, y.b) < 1e-15);
  CHECK(relative_distance(x.weight, y.weight) < 1e-15);
}

}  // namespace

TEST_CASE("recompute: gradients are those of the function itself") {
  const Tensor weight = parameter({3}, DType::f64, DType::f64);
  set_values(weight, {1, -2, 0.5});
  // Two inputs, a parameter that only the function knows, three outputs of which one is an input of another.
  int calls = 0;
  const Function fn = [&](const Tensors& x) {
    ++calls;
    const Tensor product = multiply(x[0], weight), gate = swiglu(product, x[1]);
    return Tensors{gate, relu_squared(add(product, x[1])), multiply(gate, x[0])};
  };
  const Gradients plain = gradients_of(fn, weight);
  CHECK(relative_distance(plain.weight, {0, 0, 0}) > 0.1);
  const int once = calls;

  const Gradients again = gradients_of([&](const Tensors& x) { return recompute(fn, x); }, weight);
  check_same(again, plain);
  CHECK(calls == 3 * once);  // forwards and on the way back
  CHECK(again.ops.front() == "recompute");
  CHECK(std::ranges::count(again.ops, "swiglu") == 0);  // its inside is not on the tape

  const Function nested = [&](const Tensors& x) {
    return recompute([&](const Tensors& y) { return recompute(fn, {y[0], y[1]}); }, x);
  };
  check_same(gradients_of(nested, weight), plain);

  // Inner steps of their own, one after the other and one inside the other.
  const Function chain = [&](const Tensors& x) { return fn({fn(x)[0], x[1]}); };
  const Function chain_again = [&](const Tensors& x) {
    return recompute([&](const Tensors& y) { return recompute(fn, {recompute(fn, y)[0], y[1]}); }, x);
  };
  check_same(gradients_of(chain_again, weight), gradients_of(chain, weight));
}

TEST_CASE("recompute: outputs that nobody uses, and outputs that are none") {
  const Tensor weight = parameter({3}, DType::f64, DType::f64);
  set_values(weight, {1, -2, 0.5});
  const Function fn = [&](const Tensors& x) { return Tensors{multiply(x[0], weight), Tensor(), multiply(x[1], weight)}; };
  const auto first = [](const Function& f) { return [f](const Tensors& x) { return Tensors{f(x)[0]}; }; };
  const Gradients plain = gradients_of(first(fn), weight);
  const Gradients again = gradients_of(first([&](const Tensors& x) { return recompute(fn, x); }), weight);
  check_same(again, plain);
  CHECK(again.b == std::vector<double>{0, 0, 0});

  const Tensors outputs = recompute(fn, {weight.detach(), weight.detach()});
  CHECK_FALSE(bool(outputs[1]));
}

TEST_CASE("recompute: a function of constants still trains what it knows") {
  const Tensor weight = parameter({3}, DType::f64, DType::f64);
  set_values(weight, {1, -2, 0.5});
  Tensor constant = Tensor::empty({3}, DType::f64);
  set_values(constant, {2, 3, 4});
  Tape tape;
  const Tensor loss = mean_square(recompute([&](const Tensors& x) { return Tensors{multiply(x[0], weight)}; }, {constant})[0]);
  tape.backward(loss);
  // d/dw of Σ (c·w)²/3 is 2c²w/3
  CHECK(relative_distance(gradient_of(weight), {8.0 / 3, -12, 16.0 / 3}) < 1e-15);
}
