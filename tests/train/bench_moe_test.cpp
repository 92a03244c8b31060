#include "train/bench_moe.h"

#include <map>

#include "engine/cuda/runtime.h"
#include "tests/support/shell.h"

using namespace kappa;
using namespace kappa::test;

TEST_CASE("bench moe: every op of the layer with its time, its work and its floor, on both devices of the host") {
  const Shell shell;
  for (const char* device : {"cpu", "emulated"}) {
    const Result r = shell.run({"bench", "moe", "--device", device, "--small", "--baseline", "swiglu", "--json"});
    INFO(device << ": " << r.err);
    REQUIRE(r.code == 0);
    const auto json = nlohmann::json::parse(r.out);
    CHECK(json["tokens"] == 96);
    CHECK(json["forward_ms"] > 0);
    CHECK(json["ms"] == Approx(double(json["forward_ms"]) + double(json["backward_ms"])));
    CHECK(json["swiglu_ms"] > 0);
    CHECK(json["price_of_kappa"] == Approx(double(json["ms"]) / double(json["swiglu_ms"]) - 1));
    std::map<std::pair<std::string, std::string>, nlohmann::json> ops;
    for (const auto& op : json["ops"]) {
      CHECK(op["ms"] > 0);
      CHECK(op["floor_ms"] >= 0);
      ops[{op["op"], op["phase"]}] = op;
    }
    for (const char* op : {"router_logits", "router_gate", "moe_dispatch", "moe_combine", "expert_matmul", "kappa_swiglu",
                           "load_balancing_loss", "router_z_loss"})
      for (const char* phase : {"forward", "backward"}) CHECK(ops.contains({op, phase}));
    // 96 tokens, top 2, 4 experts, capacity 1: 48 slots each; 32 channels, 128 units; three products forward, six backward.
    const double product = 2.0 * 4 * 48 * 32 * 128;
    CHECK(ops[std::pair("expert_matmul", "forward")]["flop"] == 3 * product);
    CHECK(ops[std::pair("expert_matmul", "backward")]["flop"] == 6 * product);
    // g, u, h in bfloat16; bias and scale [4, 128], c [4, 48] and U in float32.
    CHECK(ops[std::pair("kappa_swiglu", "forward")]["bytes"] == 3 * 2 * 4 * 48 * 128 + 4 * (2 * 4 * 128 + 4 * 48 + 1));
  }
  CHECK_THAT(shell.run({"bench", "moe", "--small"}).out,
             contains("kappa_swiglu") && contains("floor ms") && contains("together"));
}

TEST_CASE("bench moe: what cannot be is refused in one line") {
  const Shell shell;
  shell.check_refused({"bench"}, {"CONFIG"});
  shell.check_refused({"bench", "moe", "--dtype", "int8"}, {"--dtype", "int8"});
  shell.check_refused({"bench", "moe", "--small", "--top-k", "5"}, {"--top-k", "--experts"});
  shell.check_refused({"bench", "moe", "--baseline", "relu"}, {"--baseline"});
  try {
    cuda::queue();
  } catch (const InputError& error) {  // no GPU here, which is what is to be said
    shell.check_refused({"bench", "moe", "--small", "--device", "cuda"}, {"--device cuda", error.what()});
  }
}
