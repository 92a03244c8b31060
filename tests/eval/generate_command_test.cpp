// `kappa generate` as its users meet it.

#include <fmt/format.h>

#include "data/bpe_trainer.h"
#include "data/tokenizer_file.h"
#include "engine/core/utf8.h"
#include "model/generator.h"
#include "model/weights.h"
#include "tests/model/model_cases.h"
#include "tests/model/slow_gpt.h"
#include "tests/support/shell.h"

using namespace kappa;
using namespace kappa::test;

namespace {

namespace fs = std::filesystem;

/// A run's folder with a tokenizer of 300 tokens and two checkpoints of a model that knows 310.
class Study : public Shell {
 public:
  Study() {
    const std::vector<std::string> texts{"the old miller and the young fox by the river, and the king of no one",
                                         "the fox the fox"};
    const Tokenizer tokenizer(train_bpe(texts, 280));
    ModelConfig config;
    config.sequence_len = 20, config.vocab_size = 310, config.n_layer = 2, config.n_head = 2, config.n_embd = 32;
    config.n_exp = 4, config.moe_start_layer = 1;
    Gpt model(resolved(config), DType::f32);
    fs::create_directories(run() / "checkpoints/step_000002");
    fs::create_directories(run() / "checkpoints/step_000010");
    write("run/config.yaml",
          "model: {sequence_len: 20, vocab_size: 310, n_layer: 2, n_head: 2, n_embd: 32, n_exp: 4, moe_start_layer: 1}\n"
          "run: {dir: x}\n");
    save_tokenizer(tokenizer, run() / "tokenizer");
    randomize(model, 1);
    save_weights(model.store(), run() / "checkpoints/step_000002/model.safetensors");
    randomize(model, 2);
    save_weights(model.store(), run() / "checkpoints/step_000010/model.safetensors");
  }
  fs::path run() const { return *this / "run"; }
  fs::path config() const { return run() / "config.yaml"; }
  fs::path weights(int step) const { return run() / fmt::format("checkpoints/step_{:06}/model.safetensors", step); }
  Tokenizer tokenizer() const { return load_tokenizer(run() / "tokenizer"); }

  /// What is printed, which is all that happens.
  std::string said(const Words& words, std::string_view input = "") const {
    const Result r = Shell::run(words, input);
    INFO(fmt::format("kappa {}", fmt::join(words, " ")));
    CHECK(r.code == 0);
    CHECK(r.err.empty());
    return r.out;
  }
  Words generate(const Words& more) const { return with_more({"generate", run()}, more); }
};

/// One line of ids for each sample, by the class that the command runs.
std::string expected_ids(const Study& study, int step, std::span<const int32_t> prompt, const Generation& options) {
  Gpt model(load_model_config(study.config()), DType::f32);
  load_weights(model.store(), study.weights(step));
  Generator generator(model, prompt, options);
  std::vector<std::vector<int32_t>> rows(static_cast<size_t>(options.samples));
  while (generator.next())
    for (size_t s = 0; s < rows.size(); ++s)
      if (generator.added()[s] != Generator::ended) rows[s].push_back(generator.added()[s]);
  std::string lines;
  for (const auto& row : rows) lines += fmt::format("{}\n", fmt::join(row, ","));
  return lines;
}

const std::vector<int32_t> ids{1, 2, 3};

}  // namespace

TEST_CASE("generate: ids, from a run's folder and from files") {
  const Study study;
  const Words how{"--prompt-ids", "1,2,3", "--temperature", "0", "--max-tokens", "9", "--ids", "--stop", "none"};
  const Generation options{.sampling = {.temperature = 0}, .vocabulary = study.tokenizer().size(), .max_tokens = 9};
  const std::string newest = expected_ids(study, 10, ids, options), older = expected_ids(study, 2, ids, options);
  CHECK(newest != older);
  CHECK(study.said(study.generate(how)) == newest);
  Words with_weights = study.generate(how);
  with_weights.insert(with_weights.end(), {"--weights", study.weights(2)});
  CHECK(study.said(with_weights) == older);
  with_weights[1] = study.config();
  // Without a tokenizer all ids may come.
  Generation all = options;
  all.vocabulary = 0;
  CHECK(study.said(with_weights) == expected_ids(study, 2, ids, all));
}

TEST_CASE("generate: several samples, with a seed") {
  const Study study;
  const auto how = [&](const char* seed) {
    return study.generate({"--prompt-ids", "1,2,3", "--temperature", "0.8", "--top-k", "20", "--samples", "3", "--seed", seed,
                           "--max-tokens", "12", "--ids", "--stop", "none"});
  };
  const Generation options{.sampling = {.temperature = 0.8, .top_k = 20},
                           .seed = 7,
                           .vocabulary = study.tokenizer().size(),
                           .samples = 3,
                           .max_tokens = 12};
  CHECK(study.said(how("7")) == expected_ids(study, 10, ids, options));
  CHECK(study.said(how("7")) != study.said(how("8")));
  CHECK(std::ranges::count(study.said(how("7")), '\n') == 3);
}

TEST_CASE("generate: the prompt is a word, a file or standard input, and begins a document") {
  const Study study;
  const Words how{"--ids", "--seed", "5", "--max-tokens", "8", "--stop", "none"};
  const auto with = [&](Words more) {
    more.insert(more.end(), how.begin(), how.end());
    return study.generate(more);
  };
  const Tokenizer tokenizer = study.tokenizer();
  std::vector<int32_t> prompt{tokenizer.bos_id()};
  tokenizer.encode("the fox", prompt);
  const std::string expected = expected_ids(study, 10, prompt, {.seed = 5, .vocabulary = tokenizer.size(), .max_tokens = 8});
  CHECK(study.said(with({"--prompt", "the fox"})) == expected);
  CHECK(study.said(with({"--prompt-ids", fmt::format("{}", fmt::join(prompt, ","))})) == expected);
  study.write("prompt.txt", "the fox\n");
  CHECK(study.said(with({"--prompt-file", study / "prompt.txt"})) == expected);
  CHECK(study.said(with({}), "the fox") == expected);
  CHECK(study.said(with({}), "the fox\n") == expected);
  CHECK(study.said(with({}), "the fox\n\n") != expected);
  CHECK(study.said(with({"--precision", "float64", "--threads", "1", "--prompt", "the fox"})) == expected);
  CHECK(study.said(with({"--set", "model.eval_capacity=9", "--prompt", "the fox"})) == expected);  // nothing was dropped
}

TEST_CASE("generate: text is well-formed, and stops where it is told") {
  const Study study;
  const Tokenizer tokenizer = study.tokenizer();
  const Words how{"--prompt", "the fox", "--temperature", "3", "--max-tokens", "100", "--stop", "none"};
  const std::string text = study.said(study.generate(how));
  CHECK(text.size() > 100);
  CHECK(repair_utf8(text).replacements == 0);
  CHECK(text.ends_with('\n'));

  Words as_ids = how;
  as_ids.push_back("--ids");
  std::vector<int32_t> all;
  std::string list = study.said(study.generate(as_ids));
  for (char& c : list) c = c == ',' ? ' ' : c;
  for (const char* at = list.c_str(); *at != '\n';) {
    char* end = nullptr;
    all.push_back(int32_t(std::strtol(at, &end, 10)));
    at = end;
  }
  CHECK(all.size() == 100);
  CHECK(tokenizer.decode(all) + "\n" == text);

  // From the first place where it stands on, a stop token ends the text.
  const int32_t stop = all[40];
  all.erase(std::ranges::find(all, stop), all.end());
  Words stopped = how;
  stopped.back() = fmt::format("7,{},<|user_start|>", stop);
  all.erase(std::ranges::find(all, 7), all.end());
  all.erase(std::ranges::find(all, *tokenizer.special_id("<|user_start|>")), all.end());
  CHECK(study.said(study.generate(stopped)) == tokenizer.decode(all) + "\n");
}

TEST_CASE("generate: a document's end stops it unless it is told otherwise") {
  const Study study;
  const Tokenizer tokenizer = study.tokenizer();
  const auto count = [&](const Words& more) {
    const Words words{"--prompt", "a", "--ids", "--temperature", "100", "--max-tokens", "190", "--seed", "3"};
    return std::ranges::count(study.said(study.generate(with_more(words, more))), ',') + 1;
  };
  CHECK(count({"--stop", "none"}) == 190);
  const std::string ends = fmt::format("{},{}", tokenizer.bos_id(), *tokenizer.special_id("<|assistant_end|>"));
  CHECK(count({}) == count({"--stop", ends}));
  CHECK(count({}) < 190);
}

TEST_CASE("generate: several texts stand one below the other") {
  const Study study;
  const std::string text = study.said(study.generate({"--prompt", "a", "--samples", "3", "--max-tokens", "4"}));
  size_t count = 0;
  for (size_t at = text.find("\n---\n"); at != std::string::npos; at = text.find("\n---\n", at + 4)) ++count;
  CHECK(count == 2);
}

TEST_CASE("generate: --timing says how long it took") {
  const Study study;
  const Result r = study.Shell::run(study.generate({"--prompt", "a", "--max-tokens", "4", "--stop", "none", "--timing"}));
  CHECK(r.code == 0);
  CHECK(std::ranges::count(r.err, '\n') == 1);
  CHECK_THAT(r.err, contains("prompt: 2 tokens in ") && contains("generated: 4 tokens in ") && contains(" tokens/s"));
}

TEST_CASE("generate: Ctrl-C ends it, cleanly") {
  const Study study;
  const Result r = study.interrupt(study.generate(
      {"--prompt", "a", "--max-tokens", "900000", "--stop", "none", "--set", "model.sequence_len=100000", "--temperature", "3"}));
  CHECK(r.code == 0);
  CHECK(r.err.empty());
  CHECK(r.out.size() > 1);
  CHECK(r.out.ends_with('\n'));
  CHECK(repair_utf8(r.out).replacements == 0);
}

TEST_CASE("generate: without --max-tokens as many as there are positions") {
  const Study study;
  const std::string printed = study.said(study.generate({"--prompt-ids", "1,2,3", "--ids", "--stop", "none"}));
  CHECK(std::ranges::count(printed, ',') + 1 == 197);
}

TEST_CASE("generate: prompts and numbers that cannot be") {
  const Study study;
  const auto refused = [&](const Words& more, const Words& said, std::string_view input = "") {
    study.check_refused(study.generate(more), said, input);
  };
  refused({"--prompt-ids", ""}, {"--prompt-ids"});
  refused({"--prompt-ids", "1,310"}, {"--prompt-ids", "0 to 309", "310"});
  refused({"--prompt-ids", "1,-2"}, {"--prompt-ids", "-2"});
  refused({"--prompt-ids", "1,,2"}, {"--prompt-ids", "\"\""});
  refused({"--prompt-ids", "1, 2"}, {"--prompt-ids", "\" 2\""});
  refused({"--prompt-ids", "1,two"}, {"--prompt-ids", "two"});
  refused({"--prompt-ids", "1,99999999999999999999"}, {"--prompt-ids", "99999999999999999999"});
  refused({"--prompt", ""}, {"--prompt", "nothing"});
  refused({}, {"standard input", "nothing"});
  refused({}, {"standard input", "nothing"}, "\n");
  study.write("empty.txt", "");
  refused({"--prompt-file", study / "empty.txt"}, {study / "empty.txt", "nothing"});
  refused({"--prompt-file", study / "none.txt"}, {study / "none.txt"});
  refused({"--prompt", "a", "--prompt-ids", "1"}, {"--prompt", "--prompt-ids"});
  refused({"--prompt", "a", "--prompt-file", study / "empty.txt"}, {"--prompt", "--prompt-file"});

  // 200 positions are ten times model.sequence_len.
  refused({"--prompt-ids", "1,2,3", "--max-tokens", "198"}, {"3 tokens and 198 more", "200"});
  refused({"--prompt", std::string(500, '.'), "--max-tokens", "1"}, {"501 tokens", "200"});
  refused({"--prompt", "a", "--max-tokens", "0"}, {"--max-tokens", "0"});
  refused({"--prompt", "a", "--max-tokens", "-3"}, {"--max-tokens", "-3"});
  refused({"--prompt", "a", "--max-tokens", "1.5"}, {"--max-tokens", "1.5"});
  refused({"--prompt", "a", "--temperature", "-1"}, {"--temperature", "-1"});
  refused({"--prompt", "a", "--temperature", "nan"}, {"--temperature", "nan"});
  refused({"--prompt", "a", "--temperature", "inf"}, {"--temperature", "inf"});
  refused({"--prompt", "a", "--temperature", "hot"}, {"--temperature", "hot"});
  refused({"--prompt", "a", "--top-k", "-1"}, {"--top-k", "-1"});
  refused({"--prompt", "a", "--samples", "0"}, {"--samples", "0"});
  refused({"--prompt", "a", "--seed", "-1"}, {"--seed", "-1"});
  refused({"--prompt", "a", "--seed", "x"}, {"--seed", "x"});
  refused({"--prompt", "a", "--precision", "float8"}, {"--precision", "float8"});
  refused({"--prompt", "a", "--threads", "-1"}, {"--threads", "-1"});
  refused({"--prompt", "a", "--stop", "<|no_such|>"}, {"--stop", "<|no_such|>"});
  refused({"--prompt", "a", "--stop", "310"}, {"--stop", "310"});
  refused({"--prompt", "a", "--stop", "5,"}, {"--stop", "\"\""});
  refused({"--prompt", "a", "--set", "model.n_embdd=3"}, {"model.n_embdd"});
  refused({"--prompt", "a", "--frobnicate"}, {"--frobnicate"});
}

TEST_CASE("generate: files that are missing, or not what they should be") {
  const Study study;
  const Words how{"--prompt", "a"};
  const auto with = [&](const std::string& place, Words more) {
    more.insert(more.begin(), {"generate", place});
    more.insert(more.end(), how.begin(), how.end());
    return more;
  };
  study.check_refused({"generate"}, {"RUN"});
  study.check_refused(with(study / "nowhere", {}), {study / "nowhere"});
  study.check_refused(with(study.config(), {}), {"--weights", study.config()});
  study.check_refused(with(study.config(), {"--weights", study.weights(2)}), {"--tokenizer"});
  study.check_refused(with(study.config(), {"--weights", study.weights(2), "--ids"}), {"--tokenizer"});
  study.check_refused({"generate", study.config(), "--weights", study.weights(2), "--prompt-ids", "1"}, {"--tokenizer", "--ids"});
  study.check_refused(with(study.run(), {"--weights", study / "none"}), {study / "none"});
  study.check_refused(with(study.run(), {"--tokenizer", study / "none"}), {(study / "none").string() + ".tiktoken"});
  study.check_refused(with(study.run(), {"--set", "model.vocab_size=270"}),
                      {(study.run() / "tokenizer.tiktoken").string(), "270", "280"});
  study.check_refused(with(study.run(), {"--set", "model.n_layer=3"}), {study.weights(10), "resid_lambdas", "[3]"});

  study.write("run/checkpoints/step_000010/model.safetensors", "no tensors");
  study.check_refused(with(study.run(), {}), {study.weights(10)});
  fs::remove_all(study.run() / "checkpoints");
  study.check_refused(with(study.run(), {}), {(study.run() / "checkpoints").string()});
  fs::remove(study.config());
  study.check_refused(with(study.run(), {}), {study.run(), "config.yaml"});
}

TEST_CASE("generate: weights that are not finite end it with one line") {
  const Study study;
  Gpt model(load_model_config(study.config()), DType::f32);
  randomize(model, 3);
  model.store().find("lm_head.weight")->master.data<float>()[5] = NAN;
  save_weights(model.store(), study.weights(10));
  study.check_refused(study.generate({"--prompt", "a"}),
                      {study.weights(10).string() + ": lm_head.weight: expected finite numbers, found nan at [0, 5]"});
}
