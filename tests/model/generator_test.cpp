#include "model/generator.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/core/file.h"
#include "engine/core/philox.h"
#include "engine/device/thread_pool.h"
#include "model/weights.h"
#include "tests/model/model_cases.h"
#include "tests/model/slow_gpt.h"
#include "tests/support/catch.h"
#include "tests/support/paths.h"
#include "tests/support/skip.h"
#include "tests/support/temp_folder.h"
#include "tests/support/values.h"

using namespace kappa;
using namespace kappa::test;

namespace {

using Rows = std::vector<std::vector<int32_t>>;

const std::vector<int32_t> prompt{3, 61, 7, 7, 22, 40, 9, 0, 69};

/// What is added to each sample.
Rows generate(Gpt& model, const Generation& options, std::span<const int32_t> from = prompt) {
  Generator generator(model, from, options);
  Rows rows(static_cast<size_t>(options.samples));
  while (generator.next())
    for (size_t s = 0; s < rows.size(); ++s)
      if (generator.added()[s] != Generator::ended) rows[s].push_back(generator.added()[s]);
  return rows;
}

/// The same by passes over everything, in which tokens share slots with those that they share a pass with in the generator: the
/// prompt with itself, then the newest of all samples.
Rows generate_slowly(Gpt& model, const Generation& options, int64_t* dropped = nullptr) {
  SlowGpt slow(model);
  const size_t samples = size_t(options.samples);
  Rows rows(samples, prompt);
  std::vector<Call> calls;
  for (size_t s = 0; s < samples; ++s) {
    calls.emplace_back();
    for (size_t t = 0; t < prompt.size(); ++t) calls.back().push_back({s, t});
  }
  const Random random(options.seed, "sampling");
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    const auto logits = slow.logits(rows, calls);
    calls.emplace_back();
    for (size_t s = 0; s < samples; ++s) {
      const double uniform = random.uniform<double>(i * options.samples + int64_t(s));
      const int32_t id = pick(std::span<const double>(logits[s].back()), options.sampling, uniform);
      calls.back().push_back({s, rows[s].size()});
      rows[s].push_back(id);
    }
  }
  if (dropped) *dropped = slow.dropped();
  for (auto& row : rows) row.erase(row.begin(), row.begin() + std::ptrdiff_t(prompt.size()));
  return rows;
}

}  // namespace

TEST_CASE("generator: token by token what passes over everything give") {
  for (const ModelCase& c : model_cases())
    for (const Sampling& sampling : {Sampling{.temperature = 0}, Sampling{.temperature = 1.3}, Sampling{.top_k = 5}}) {
      INFO(c.what << ", temperature " << sampling.temperature << ", top " << sampling.top_k);
      Gpt model(c.config, DType::f64);
      randomize(model, 21);
      const Generation options{.sampling = sampling, .seed = 4, .samples = 2, .max_tokens = 10};
      CHECK(generate(model, options) == generate_slowly(model, options));
    }
}

TEST_CASE("generator: samples share the slots of the experts, of which there may be too few") {
  ModelCase c = model_cases()[6];
  c.config.eval_capacity = 0.7, c.config.min_capacity = 1;
  Gpt model(c.config, DType::f64);
  randomize(model, 22);
  const Generation options{.sampling = {.temperature = 1}, .seed = 9, .samples = 6, .max_tokens = 8};
  int64_t dropped = 0;
  CHECK(generate(model, options) == generate_slowly(model, options, &dropped));
  CHECK(dropped > 40);
}

TEST_CASE("generator: the seed decides, and nothing else") {
  const ModelCase c = model_cases()[6];
  Gpt model(c.config, DType::f32);
  randomize(model, 23);
  const Generation options{.sampling = {.temperature = 2}, .seed = 1, .samples = 3, .max_tokens = 12};
  Generation other = options;
  other.seed = 2;
  const Rows first = generate(model, options);
  CHECK(first == generate(model, options));
  CHECK(first != generate(model, other));
  CHECK(first[0] != first[1]);  // samples have numbers of their own
  const int before = threads();
  for (int count : {1, 3}) {
    set_threads(count);
    CHECK(first == generate(model, options));
  }
  set_threads(before);
}

TEST_CASE("generator: a sample ends where a stop token comes, the others go on as before") {
  const ModelCase c = model_cases()[6];
  Gpt model(c.config, DType::f32);
  randomize(model, 24);
  Generation options{.sampling = {.temperature = 2}, .seed = 3, .samples = 3, .max_tokens = 14};
  const Rows whole = generate(model, options);
  options.stop = {whole[0][2], whole[1][9]};
  Rows cut = whole;
  size_t longest = 0;
  for (auto& row : cut) {
    row.erase(std::ranges::find_first_of(row, options.stop), row.end());
    longest = std::max(longest, row.size());
  }
  CHECK(cut[0].size() <= 2);
  CHECK(generate(model, options) == cut);

  // No step is made after the last sample has ended.
  options.samples = 1, options.sampling.temperature = 0, options.stop.clear();
  options.stop = {generate(model, options)[0][0]};
  Generator generator(model, prompt, options);
  CHECK_FALSE(generator.next());
  CHECK(generator.added()[0] == Generator::ended);
  CHECK_FALSE(generator.next());
}

TEST_CASE("generator: ids beyond the vocabulary that is asked for are not picked") {
  const ModelCase c = model_cases()[0];
  Gpt model(c.config, DType::f32);
  randomize(model, 25);
  Generation options{.sampling = {.temperature = 50}, .seed = 3, .max_tokens = 60};
  const auto highest = [&] { return *std::ranges::max_element(generate(model, options)[0]); };
  CHECK(highest() > 60);
  options.vocabulary = 20;
  CHECK(highest() == 19);
}

TEST_CASE("generator: prompts and lengths that cannot be") {
  const ModelCase c = model_cases()[0];  // sequence_len 12
  Gpt model(c.config, DType::f32);
  randomize(model, 26);
  const Generation one{.max_tokens = 1};
  CHECK_THROWS_WITH(generate(model, one, {}), "the prompt has no tokens");
  for (const int32_t bad : {-1, 70}) {
    const std::vector<int32_t> ids{1, 2, bad};
    CHECK_THROWS_WITH(generate(model, one, ids), contains(fmt::format("token id {} at row 0, position 2", bad)));
  }
  const std::vector<int32_t> most(119, 5), too_many(120, 5);
  CHECK(generate(model, one, most)[0].size() == 1);
  CHECK_THROWS_WITH(generate(model, one, too_many),
                    "a prompt of 120 tokens and 1 more are longer than the 120 positions of the model, 10·model.sequence_len");
  CHECK(generate(model, {.sampling = {.temperature = 0}, .max_tokens = 111})[0].size() == 111);
  CHECK_THROWS_WITH(generate(model, {.max_tokens = 112}), contains("9 tokens and 112 more"));
  CHECK_THROWS_AS(generate(model, {.max_tokens = 0}), InputError);
  CHECK_THROWS_AS(generate(model, {.max_tokens = std::numeric_limits<int64_t>::max()}), InputError);
  CHECK_THROWS_AS(generate(model, {.samples = 0}), InputError);
}

TEST_CASE("generator: what another implementation generates") {
  const auto shared = shared_folder("golden/core/kappa_moe.tar.xz");
  if (!shared) return;
  const TempFolder temp;
  const std::string unpack =
      fmt::format("tar -xf '{}/golden/core/kappa_moe.tar.xz' -C '{}'", shared->string(), temp.path().string());
  REQUIRE(std::system(unpack.c_str()) == 0);
  const auto folder = temp / "kappa_moe";
  Gpt model(load_model_config(folder / "config.yaml"), DType::f32);
  load_weights(model.store(), folder / "weights.safetensors");
  const auto recorded = nlohmann::json::parse(read_file(folder / "expected_generation.json"));
  REQUIRE(recorded.size() == 7);
  for (const auto& r : recorded) {
    INFO(r["prompt"].dump());
    const auto from = r["prompt_ids"].get<std::vector<int32_t>>(), expected = r["greedy_ids"].get<std::vector<int32_t>>();
    CHECK(generate(model, {.sampling = {.temperature = 0}, .max_tokens = int64_t(expected.size())}, from)[0] == expected);
  }
}

TEST_CASE("generator: the logits of another implementation, where slots are scarce") {
  const auto folder = source_dir() / "tests/fixtures/audit/kappa_eval";
  const ModelConfig config = load_model_config(folder / "config.yaml");
  Gpt model(config, DType::f32);
  load_weights(model.store(), folder / "weights.safetensors");
  const SafetensorsFile batch(folder / "batch.safetensors"), expected(folder / "expected.safetensors");
  const StoredTensor &inputs = batch.at("inputs"), &logits = expected.at("logits");
  const int64_t rows = inputs.shape[0], length = inputs.shape[1], vocabulary = config.vocab_size;
  const Tensor ids = Tensor::empty({rows, length}, DType::i32);
  batch.read(inputs, std::span(ids.data<int32_t>(), size_t(ids.size())));
  std::vector<double> all(size_t(rows * length * vocabulary)), last;
  expected.read(logits, std::span(all));
  for (int64_t row = 0; row < rows; ++row) {
    const auto first = all.begin() + ((row + 1) * length - 1) * vocabulary;
    last.insert(last.end(), first, first + vocabulary);
  }
  KvCache cache(config, rows, length, DType::f32);
  const Tensor found = model.next_logits(ids, {.training = false, .cache = &cache});
  CHECK(relative_distance(to_doubles(found), last) < 2e-5);
}
