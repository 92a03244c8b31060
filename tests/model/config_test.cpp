#include "model/config.h"

#include "engine/core/file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using kappa::test::TempFolder;

namespace {

ModelConfig read(const std::string& keys, const std::vector<std::string>& overrides = {}) {
  ModelConfig config;
  Schema schema;
  describe(schema.section("model", ""), config);
  schema.read("model: {" + keys + "}", "x.yaml");
  for (const std::string& assignment : overrides) schema.set(assignment);
  resolve(config, schema);
  return config;
}

std::string refusal(const std::string& keys) {
  try {
    read(keys);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

/// "1" for each layer of which `what` is true, "0" for the others.
template <class What>
std::string layers(const ModelConfig& c, What what) {
  std::string text;
  for (int64_t layer = 0; layer < c.n_layer; ++layer) text += what(layer) ? '1' : '0';
  return text;
}
std::string moe_layers(const ModelConfig& c) {
  return layers(c, [&](int64_t i) { return c.is_moe(i); });
}
std::string kappa_layers(const ModelConfig& c) {
  return layers(c, [&](int64_t i) { return c.kappa_active(i); });
}

}  // namespace

TEST_CASE("model config: sizes from the depth") {
  struct Row {
    int64_t depth, width, heads;
  };
  for (const Row& row : {Row{4, 384, 3}, Row{6, 640, 5}, Row{8, 768, 6}, Row{10, 1024, 8}, Row{12, 1152, 9}, Row{16, 1536, 12},
                         Row{20, 1920, 15}, Row{24, 2304, 18}, Row{28, 2688, 21}}) {
    const ModelConfig c = read(fmt::format("depth: {}", row.depth));
    REQUIRE(c.n_layer == row.depth);
    REQUIRE(c.n_embd == row.width);
    REQUIRE(c.n_head == row.heads);
    REQUIRE(c.n_kv_head == row.heads);
    REQUIRE(c.head_size() == 128);
    REQUIRE(!c.depth);
  }
  const ModelConfig other = read("depth: 3, aspect_ratio: 50, head_dim: 64");
  REQUIRE(other.n_embd == 192);
  REQUIRE(other.n_head == 3);
  const ModelConfig defaults = resolved({}), eight = read("depth: 8");
  REQUIRE(defaults.n_layer == eight.n_layer);
  REQUIRE(defaults.n_embd == eight.n_embd);
  REQUIRE(defaults.n_head == eight.n_head);
}

TEST_CASE("model config: the depth excludes the sizes that it computes") {
  for (const std::string key : {"n_layer", "n_head", "n_kv_head", "n_embd"})
    REQUIRE(refusal("depth: 8,\n " + key + ": 64") ==
            "x.yaml:1: model.depth = 8, model." + key +
                " = 64 (x.yaml:2): depth computes n_layer, n_head, n_kv_head and n_embd, which must then not be given");
}

TEST_CASE("model config: which layers are MoE layers") {
  REQUIRE(moe_layers(read("n_layer: 8")) == "00111111");
  REQUIRE(moe_layers(read("n_layer: 4, n_exp: 1")) == "0000");
  REQUIRE(moe_layers(read("n_layer: 4, n_exp: 0")) == "0000");
  REQUIRE(moe_layers(read("n_layer: 8, moe_layer_stride: 2")) == "00010101");
  REQUIRE(moe_layers(read("n_layer: 8, moe_layer_stride: 2, num_moe_layers: 2")) == "00010100");
  REQUIRE(moe_layers(read("n_layer: 8, moe_start_layer: 3, moe_layer_stride: 2, num_moe_layers: 1")) == "00010000");
  REQUIRE(moe_layers(read("n_layer: 8, moe_start_layer: 4, moe_layer_stride: 2, num_moe_layers: 1")) == "00000100");
  REQUIRE(moe_layers(read("n_layer: 8, num_moe_layers: 0")) == "00000000");
  REQUIRE(moe_layers(read("n_layer: 3, moe_start_layer: 0, num_moe_layers: 2")) == "110");
  REQUIRE(read("n_layer: 8, moe_layer_stride: 3").moe_layers() == 2);
}

TEST_CASE("model config: where κ acts") {
  REQUIRE(kappa_layers(read("n_layer: 5")) == "00000");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, moe_start_layer: 1")) == "00111");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, kappa_start_layer: 3")) == "00011");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, kappa_start_layer: 0")) == "00111");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, constant_kappa_dense_layers: true")) == "11111");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, constant_kappa_dense_layers: true, kappa_start_layer: 1")) ==
          "01111");
  REQUIRE(kappa_layers(read("n_layer: 5, use_kappa_swiglu: true, constant_kappa_dense_layers: true, dense_mlp: relu2")) ==
          "00111");
  REQUIRE(read("").kappa_start_layer == 2);
  REQUIRE(read("constant_kappa_dense_layers: true").kappa_start_layer == 0);
}

TEST_CASE("model config: windows, value embeddings, vocabulary, chunks") {
  const ModelConfig c = read("n_layer: 5, window_pattern: LSS, sequence_len: 64, vocab_size: 250");
  for (const auto& [layer, window] : std::vector<std::pair<int64_t, int64_t>>{{0, 64}, {1, 32}, {2, 32}, {3, 64}, {4, 64}})
    REQUIRE(c.window(layer) == window);
  REQUIRE(layers(c, [&](int64_t i) { return c.has_value_embedding(i); }) == "10101");
  const ModelConfig eight = read("depth: 8");
  REQUIRE(layers(eight, [&](int64_t i) { return eight.has_value_embedding(i); }) == "01010101");
  REQUIRE(c.padded_vocab() == 256);
  REQUIRE(eight.padded_vocab() == 32768);
  REQUIRE(eight.loss_chunk() == 512);
  REQUIRE(c.loss_chunk() == 67108);
  REQUIRE(read("vocab_size: 33554432").loss_chunk() == 1);
  REQUIRE(read("loss_chunk_tokens: 37").loss_chunk() == 37);
}

TEST_CASE("model config: capacity") {
  const ModelConfig c = read("");
  REQUIRE(c.capacity(65536, true) == 2048);
  REQUIRE(c.capacity(65536, false) == 6144);
  REQUIRE(c.capacity(1000, true) == 32);
  REQUIRE(c.capacity(100, true) == 4);
  REQUIRE(c.capacity(49152, true) == 1536);
  REQUIRE(c.capacity(1, false) == 4);
  REQUIRE(read("min_capacity: 37").capacity(65, true) == 37);
  REQUIRE(read("n_exp: 6, moe_top_k: 4, train_capacity: 1.25").capacity(64, true) == 54);  // ⌊53.3⌋ is odd
}

TEST_CASE("model config: keys that do not go together are named with their values") {
  const std::pair<std::string, std::string> cases[] = {
      {"n_embd: 100, n_head: 3", "model.n_embd = 100, model.n_head = 3 (x.yaml:1): n_head must divide n_embd"},
      {"n_embd: 96, n_head: 6, n_kv_head: 4", "model.n_head = 6, model.n_kv_head = 4 (x.yaml:1): n_kv_head must divide n_head"},
      {"n_embd: 99, n_head: 3",
       "model.n_embd = 99, model.n_head = 3 (x.yaml:1): the rotary embedding needs an even size of a head, found 33"},
      {"depth: 4, head_dim: 33",
       "model.depth = 4, model.head_dim = 33 (x.yaml:1): the rotary embedding needs an even size of a head"},
      {"depth: 1, aspect_ratio: 2, head_dim: 2",
       "model.depth = 1, model.aspect_ratio = 2 (x.yaml:1), model.head_dim = 2 (x.yaml:1): they give n_embd = 2, but the gate of "
       "the value "
       "embeddings reads 32 channels"},
      {"n_embd: 16, n_head: 2",
       "model.n_embd = 16: the gate of the value embeddings reads 32 channels; expected at least as many"},
      {"window_pattern: LXL", "model.window_pattern = LXL: expected letters L and S"},
      {"window_pattern: \"\"", "model.window_pattern = \"\": expected letters L and S"},
      {"window_pattern: S, sequence_len: 1",
       "model.sequence_len = 1, model.window_pattern = S (x.yaml:1): half a row must be at least one token"},
      {"n_exp: 4, moe_top_k: 5",
       "model.moe_top_k = 5, model.n_exp = 4 (x.yaml:1): a token cannot go to more experts than there are"},
      {"expert_mlp: bilinear, use_kappa_swiglu: true",
       "model.expert_mlp = bilinear, model.use_kappa_swiglu = true (x.yaml:1): bilinear experts have no gate that kappa could "
       "act on"},
      {"kappa_l2_ema_anchor_start: 0.6",
       "model.kappa_l2_ema_anchor_start = 0.6, model.kappa_l2_ema_anchor_end = 0.5 (default): the start must not lie after the "
       "end"},
      {"ut_detach: true, ut_everypass_ntp: false",
       "model.ut_detach = true, model.ut_everypass_ntp = false (x.yaml:1): detached passes without a loss of their own would "
       "learn nothing"},
      {"n_exp: 100000, n_embd: 6144",
       "model.n_embd = 6144, model.n_layer = 8 (default), model.n_exp = 100000 (x.yaml:1), model.vocab_size = 32768 (default): "
       "the model would "
       "have 2.72e+14 parameters, at most 2^40 are possible"},
  };
  for (const auto& [keys, message] : cases) {
    INFO(keys);
    REQUIRE(refusal(keys) == "x.yaml:1: " + message);
  }
  REQUIRE(refusal("n_embd: 9007199254740992, n_head: 4503599627370496, n_layer: 10000") != "");
}

TEST_CASE("model config: the same combinations where they do no harm") {
  read("n_exp: 1, moe_top_k: 5");
  read("expert_mlp: bilinear");
  read("expert_mlp: bilinear, use_kappa_swiglu: true, kappa_start_layer: 8");
  read("expert_mlp: bilinear, use_kappa_swiglu: true, n_exp: 1, constant_kappa_dense_layers: true");
  read("sequence_len: 1");
}

TEST_CASE("model config: numbers out of range") {
  for (const std::string keys :
       {"n_layer: 0", "n_head: 0", "vocab_size: 0", "n_exp: -1", "moe_top_k: 0", "moe_layer_stride: 0", "num_moe_layers: -2",
        "train_capacity: 0", "eval_capacity: -1", "min_capacity: 0", "moe_kappa_slope_max_scale: 0.99",
        "dense_kappa_slope_max_scale: 0", "kappa_l2_ema_beta: 1", "kappa_l2_ema_anchor_end: 1.1", "total_ut_steps: 0",
        "loss_chunk_tokens: 0", "loss_chunk_tokens: -1", "sequence_len: 2147483648", "kappa_granularity: per_gate"})
    REQUIRE_THAT(refusal(keys), Catch::Matchers::StartsWith("x.yaml:1: model." + keys.substr(0, keys.find(':')) + ": expected "));
}

TEST_CASE("model config: the section model of a file with others") {
  const TempFolder folder;
  write_file(folder / "a.yaml", "train: {whatever: 1}\nmodel: {depth: 4, n_exp: 8}\n");
  const ModelConfig c = load_model_config(folder / "a.yaml", {"model.n_exp=4"});
  REQUIRE(c.n_layer == 4);
  REQUIRE(c.n_exp == 4);
  write_file(folder / "b.yaml", "modell: {depth: 4}\n");
  REQUIRE_THROWS_AS(load_model_config(folder / "b.yaml"), InputError);
}
