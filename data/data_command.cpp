#include "data/data_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/inspect.h"
#include "data/notices.h"
#include "data/pack.h"
#include "data/tokenizer_file.h"
#include "engine/core/error.h"
#include "engine/core/within.h"
#include "engine/device/thread_pool.h"

namespace kappa {
namespace {

void add_reading(CLI::App& command, DocumentOptions& options) {
  command.add_option("--field", options.field, "the Parquet column, the key in JSON Lines")->capture_default_str();
  command.add_flag("--skip-damaged", options.skip_damaged, "leave out and count row groups, lines and files that cannot be read");
}

void add_cat(CLI::App& data) {
  struct Options {
    std::vector<std::string> files;
    std::string out = "-";
    DocumentOptions documents;
  };
  auto* const command = data.add_subcommand("cat", "Documents of Parquet, JSON Lines and text files as {\"text\": …} lines");
  const auto o = std::make_shared<Options>();
  command->add_option("FILE", o->files, ".parquet, .jsonl, .jsonl.gz, .jsonl.zst, text, or folders of them")->required();
  command->add_option("--out", o->out, "the file to write; - is standard output")->capture_default_str();
  add_reading(*command, o->documents);
  command->footer("Example: kappa data cat shard_00000.parquet | head -n 3");
  command->callback([o] {
    require_other_file("--out", o->out, {o->files.begin(), o->files.end()});
    Output out(o->out);
    for (const std::string& file : o->files) {
      const auto reader = open_documents(file, o->documents);
      for (std::string text; reader->next(text);) out.write("{\"text\": " + nlohmann::json(text).dump() + "}\n");
      notice_of(reader->counts(), file);
    }
    out.finish();
  });
}

void add_inspect(CLI::App& data) {
  struct Options {
    std::vector<std::string> files;
    std::string tokenizer, color = "auto";
    InspectOptions inspect;
  };
  auto* const command = data.add_subcommand("inspect", "What files hold: schema, row groups, sizes; with a tokenizer, tokens");
  const auto o = std::make_shared<Options>();
  command->add_option("FILE", o->files, "as for kappa data cat")->required();
  command->add_option("--tokenizer", o->tokenizer, "count tokens, and show a packed row with its documents");
  command->add_option("--documents", o->inspect.limit, "how many are read for the statistics")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--seq-len", o->inspect.length, "tokens of the packed row")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  command->add_option("--color", o->color, "auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  add_reading(*command, o->inspect.documents);
  command->footer("Example: kappa data inspect shard_00000.parquet --tokenizer kappa32k.tiktoken");
  command->callback([o] {
    std::unique_ptr<Tokenizer> tokenizer;
    if (!o->tokenizer.empty()) tokenizer = std::make_unique<Tokenizer>(load_with_notice(o->tokenizer));
    o->inspect.tokenizer = tokenizer.get();
    o->inspect.color = wants_color(o->color);
    Output out("-");
    for (const std::string& file : o->files) inspect(file, o->inspect, out);
    out.finish();
  });
}

/// Also of files that are not there yet.
bool same_name(const std::filesystem::path& a, const std::filesystem::path& b) {
  return std::filesystem::weakly_canonical(std::filesystem::absolute(a)) ==
         std::filesystem::weakly_canonical(std::filesystem::absolute(b));
}

/// What is written replaces nothing that is read, nor one file the other.
void check_outputs(const PackRequest& request, const std::string& tokenizer, const std::string& state) {
  for (const auto& [option, file] : {std::pair{"--out", request.out}, {"--state", state}}) {
    require_other_file(option, file, {request.path, request.validation.file, tokenizer});
    require_other_file(option, file, tokenizer_files(tokenizer));
  }
  if (state.empty()) return;
  require_other_file("--state", state, {request.out});
  for (const auto& [one, other] : {std::pair{state, request.out}, {state + ".tmp", request.out}, {state, request.out + ".tmp"}})
    require(!same_name(one, other), "--state: expected another file than --out, found {}", state);
}

void add_pack(CLI::App& data) {
  struct Options {
    std::string tokenizer, path, validation, split = "train", state;
    int threads = 0;
    PackRequest request;
  };
  auto* const command = data.add_subcommand("pack", "Rows of packed documents, as training gets them");
  const auto o = std::make_shared<Options>();
  PackRequest& r = o->request;
  const auto positive = CLI::Range(int64_t{1}, int64_t{1} << 40);
  command->add_option("PATH", o->path, "a folder of Parquet, JSON Lines or text files, or a single file")->required();
  command->add_option("--tokenizer", o->tokenizer, "its file")->required();
  command->add_option("--rows", r.rows, "how many rows")->check(positive)->required();
  command->add_option("--seq-len", r.length, "tokens of a row's inputs")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->required();
  command->add_option("--batch", r.batch, "rows of a batch")->check(CLI::Range(int64_t{1}, int64_t{1} << 20))->required();
  command->add_option("--split", o->split, "which documents")->check(CLI::IsMember({"train", "val"}))->capture_default_str();
  command->add_option(
      "--validation", o->validation,
      "what is held out: a share, such as 0.05, a file or a folder; if not given, the last shard, or a single file");
  command->add_option("--rank", r.rank.rank, "whose rows")
      ->check(CLI::Range(int64_t{0}, (int64_t{1} << 20) - 1))
      ->capture_default_str();
  command->add_option("--world", r.rank.world, "of how many ranks")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--threads", o->threads, "that read and tokenise; 0: one a core")->check(CLI::Range(0, 1024));
  command->add_option("--out", r.out, "the file to write; - is standard output")->capture_default_str();
  command->add_option("--state", o->state,
                      "gone on from if it is there; written after the last batch, so --rows is a multiple of --batch");
  add_reading(*command, r.documents);
  command->footer(
      "Examples:\n"
      "  kappa data pack --tokenizer kappa32k.tiktoken --rows 4 --seq-len 2048 --batch 4 shards/\n"
      "  kappa data pack --tokenizer kappa32k.tiktoken --rows 4 --seq-len 256 --batch 4 --validation 0.05 text.jsonl");
  command->callback([o] {
    PackRequest request = o->request;
    require(request.rank.rank < request.rank.world, "--rank: expected at most {}, one less than --world, found {}",
            request.rank.world - 1, request.rank.rank);
    request.path = o->path;
    request.validation = within("--validation", [&] { return Validation::parse(o->validation); });
    request.split = o->split == "train" ? Split::train : Split::validation;
    if (!o->state.empty()) request.state = o->state;
    check_outputs(request, o->tokenizer, o->state);
    require(o->state.empty() || request.rows % request.batch == 0,
            "--rows: expected a multiple of --batch, {}, because --state goes on with the next batch, found {}", request.batch,
            request.rows);
    text_files(request.path);  // that there are some is better known before a tokenizer is loaded
    set_threads(o->threads);
    request.workers = threads();
    const Tokenizer tokenizer = load_with_notice(o->tokenizer);
    notice_of(pack_rows(tokenizer, request), o->path);
  });
}

}  // namespace

void add_data_command(CLI::App& app) {
  auto* const data = app.add_subcommand("data", "Shows and packs the texts that models learn from");
  data->require_subcommand(1);
  data->footer(
      "Examples:\n"
      "  kappa data inspect shards/ --tokenizer kappa32k.tiktoken\n"
      "  kappa data cat shard_00000.parquet | head -n 3\n"
      "kappa data COMMAND --help explains each.");
  add_cat(*data);
  add_inspect(*data);
  add_pack(*data);
}

}  // namespace kappa
