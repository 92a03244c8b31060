#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>

#include "data/notices.h"
#include "engine/core/file.h"
#include "engine/core/precision.h"
#include "engine/core/signals.h"
#include "engine/core/text.h"
#include "engine/device/thread_pool.h"
#include "eval/commands.h"
#include "eval/model_files.h"
#include "eval/sample_writer.h"
#include "model/generator.h"
#include "model/weights.h"

namespace kappa {
namespace {

struct Options {
  std::string place, weights, tokenizer, precision = "float32", stop;
  std::optional<std::string> prompt, prompt_file, prompt_ids;
  std::vector<std::string> overrides;
  double temperature = 1;
  int64_t top_k = 0, samples = 1;
  uint64_t seed = 42;
  std::optional<int64_t> max_tokens;
  bool ids = false, timing = false;
  int threads = 0;
};

/// The words of a list, "a,b,c".
std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words(1);
  for (char c : list)
    if (c == ',')
      words.emplace_back();
    else
      words.back() += c;
  return words;
}

std::optional<int32_t> parse_id(const std::string& word) {
  int32_t id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return id;
}

/// What is wrong with a seed, or nothing: the parser's own words for numbers that are too large are not short.
std::string seed_refusal(const std::string& word) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seed);
  const bool whole = error == std::errc() && end == word.data() + word.size();
  return whole ? "" : fmt::format("expected an integer from 0 to 2^64 - 1, found {}", word);
}

int32_t checked_id(const char* flag, const std::string& word, int64_t vocabulary) {
  const auto id = parse_id(word);
  require(id && *id >= 0 && *id < vocabulary, "{}: expected ids from 0 to {}, found \"{}\"", flag, vocabulary - 1,
          printable(word));
  return *id;
}

std::string prompt_text(const Options& o) {
  if (o.prompt) return *o.prompt;
  if (!o.prompt_file && isatty(STDIN_FILENO)) std::fputs("The prompt, then Ctrl-D:\n", stderr);
  constexpr int64_t longest_prompt = int64_t{16} << 20;  // bytes; far more than fit into a model's row
  std::string text = read_file(o.prompt_file.value_or("/dev/stdin"), longest_prompt);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

/// A text begins a document: BOS comes first. Ids are taken as they are.
std::vector<int32_t> prompt_ids(const Options& o, const Tokenizer* tokenizer, int64_t vocabulary) {
  std::vector<int32_t> ids;
  if (o.prompt_ids) {
    require(!o.prompt_ids->empty(), "--prompt-ids: expected at least one id, found none");
    for (const std::string& word : split(*o.prompt_ids)) ids.push_back(checked_id("--prompt-ids", word, vocabulary));
    return ids;
  }
  require(tokenizer, "--tokenizer: a prompt of text needs one, found none; --prompt-ids with --ids does not");
  const std::string text = prompt_text(o);
  require(!text.empty(), "{}: expected a text, found nothing; --prompt-ids {} begins a document without one",
          o.prompt        ? "--prompt"
          : o.prompt_file ? *o.prompt_file
                          : "standard input",
          tokenizer->bos_id());
  ids.push_back(tokenizer->bos_id());
  tokenizer->encode(text, ids);
  return ids;
}

/// --stop, or where it is not given the ends of a document and of an answer.
std::vector<int32_t> stop_ids(const Options& o, const Tokenizer* tokenizer, int64_t vocabulary) {
  std::vector<int32_t> ids;
  if (o.stop == "none") return ids;
  if (o.stop.empty()) {
    if (!tokenizer) return ids;
    ids.push_back(tokenizer->bos_id());
    if (const auto end = tokenizer->special_id("<|assistant_end|>")) ids.push_back(*end);
    return ids;
  }
  for (const std::string& word : split(o.stop)) {
    const auto special = tokenizer ? tokenizer->special_id(word) : std::nullopt;
    require(special || parse_id(word), "--stop: expected ids and special tokens of the tokenizer, found \"{}\"", printable(word));
    ids.push_back(special ? *special : checked_id("--stop", word, vocabulary));
  }
  return ids;
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path, int64_t vocabulary) {
  if (path.empty()) return nullptr;
  auto tokenizer = std::make_unique<Tokenizer>(load_with_notice(path));
  require(tokenizer->size() <= vocabulary, "{}: expected at most model.vocab_size {} tokens, found {}", path.string(), vocabulary,
          tokenizer->size());
  return tokenizer;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void generate(const Options& o) {
  require(std::isfinite(o.temperature) && o.temperature >= 0, "--temperature: expected a number of at least 0, found {}",
          o.temperature);
  set_threads(o.threads);
  const ModelFiles files = find_model_files(o.place, o.weights, o.tokenizer);
  const ModelConfig config = load_model_config(files.config, o.overrides);
  const auto tokenizer = open_tokenizer(files.tokenizer, config.vocab_size);
  require(o.ids || tokenizer, "--tokenizer: text needs one, found none; --ids does not");
  const std::vector<int32_t> prompt = prompt_ids(o, tokenizer.get(), config.vocab_size);
  const int64_t room = config.longest_row() - int64_t(prompt.size());
  const Generation options{.sampling = {.temperature = o.temperature, .top_k = o.top_k},
                           .seed = o.seed,
                           .vocabulary = tokenizer ? tokenizer->size() : 0,
                           .samples = o.samples,
                           .max_tokens = o.max_tokens.value_or(std::clamp<int64_t>(room, 1, 256)),
                           .stop = stop_ids(o, tokenizer.get(), config.vocab_size)};

  Gpt model(config, precision_named(o.precision));
  load_weights(model.store(), files.weights);
  const Signals signals;
  const auto start = std::chrono::steady_clock::now();
  Generator generator(model, prompt, options);
  const double prompt_seconds = seconds_since(start);
  SampleWriter writer(stdout, o.samples, o.ids ? nullptr : tokenizer.get());
  int64_t tokens = 0;
  while (!signals.received() && generator.next())
    for (int64_t sample = 0; sample < o.samples; ++sample) {
      const int32_t id = generator.added()[size_t(sample)];
      if (id == Generator::ended) {
        writer.end(sample);
      } else {
        writer.add(sample, id);
        ++tokens;
      }
    }
  for (int64_t sample = 0; sample < o.samples; ++sample) writer.end(sample);
  if (!o.timing) return;
  const double seconds = seconds_since(start) - prompt_seconds;
  fmt::print(stderr, "prompt: {} tokens in {:.3f} s, {:.0f} tokens/s; generated: {} tokens in {:.3f} s, {:.0f} tokens/s\n",
             prompt.size(), prompt_seconds, double(prompt.size()) / prompt_seconds, tokens, seconds, double(tokens) / seconds);
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto* const command = app.add_subcommand("generate", "Continue a text with a trained model");
  const auto o = std::make_shared<Options>();
  command->add_option("RUN", o->place, "a run's folder, or a configuration with --weights")->required();
  command->add_option("--weights", o->weights,
                      "safetensors: all parameters; of a run's folder, instead of its newest checkpoint");
  command->add_option("--tokenizer", o->tokenizer, "T.tiktoken; a run's folder has its own, --prompt-ids with --ids needs none");
  auto* const text = command->add_option("--prompt", o->prompt, "the text to continue");
  auto* const file = command->add_option("--prompt-file", o->prompt_file, "a file with it; without any, standard input");
  auto* const ids = command->add_option("--prompt-ids", o->prompt_ids, "its tokens, 1,2,3, as they are: no <|bos|> comes first");
  text->excludes(file)->excludes(ids);
  file->excludes(ids);
  command->add_option("--max-tokens", o->max_tokens, "of each sample; otherwise 256, or fewer if the model has no more positions")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--temperature", o->temperature, "0: always the likeliest token")->capture_default_str();
  command->add_option("--top-k", o->top_k, "only the likeliest; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "of the random numbers")->check(CLI::Validator(seed_refusal, ""))->capture_default_str();
  command->add_option("--samples", o->samples, "side by side, as one batch; they share the slots of the experts")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--stop", o->stop, "tokens that end a sample, as ids or special tokens: 5,<|user_start|>; or none");
  command->add_flag("--ids", o->ids, "write ids, not text");
  command->add_flag("--timing", o->timing, "say on standard error how long it took");
  command->add_option("--precision", o->precision, "what is computed in")
      ->check(CLI::IsMember(std::vector<std::string>(precision_names.begin(), precision_names.end())))
      ->capture_default_str();
  command->add_option("--threads", o->threads, "0: one a core")->check(CLI::Range(0, 1024));
  command->add_option("--set", o->overrides, "model.KEY=VALUE instead of the file's");
  command->footer(
      "The text goes on until <|bos|> or <|assistant_end|> comes, --max-tokens are there, or Ctrl-C.\n\nExamples:\n"
      "  kappa generate runs/quickstart --prompt \"In the beginning\"\n"
      "  kappa generate runs/quickstart --prompt-file text.txt --temperature 0.7 --top-k 50 --samples 3 --seed 1\n"
      "  kappa generate config.yaml --weights weights.safetensors --prompt-ids 1,2,3 --temperature 0 --max-tokens 24 --ids");
  command->callback([o] { generate(*o); });
}

}  // namespace kappa
