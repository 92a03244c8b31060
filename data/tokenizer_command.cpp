#include "data/tokenizer_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/bpe_trainer.h"
#include "data/byte_stream.h"
#include "data/notices.h"
#include "data/output.h"
#include "data/token_lines.h"
#include "data/tokenizer_file.h"
#include "data/tokenizer_inspect.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {
namespace {

constexpr const char* tokenizer_help = "T or T.tiktoken, a tokenizer.json of Hugging Face, or a pickled tiktoken .pkl";

CLI::Option* add_threads(CLI::App& command, int& threads) {
  return command.add_option("--threads", threads, "0: one a core")->check(CLI::Range(0, 1024));
}

void require_other_files(const std::string& out, const std::vector<std::filesystem::path>& inputs) {
  for (const auto& file : tokenizer_files(out)) require_other_file("--out", file, inputs);
}

/// That all files can be written is better known before any is, and before training.
void try_to_write(const std::string& out) {
  for (const auto& file : tokenizer_files(out)) const AtomicFile trial(file);
}

void save_all(const Tokenizer& tokenizer, const std::string& out) {
  save_for_hugging_face(tokenizer, out);
  save_tokenizer(tokenizer, out);
}

/// How far training is, on one line of a terminal that is written again and again; nothing where standard error is a file.
class ProgressLine {
 public:
  void show(const std::string& text) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    fmt::print(stderr, "\r\x1b[K{}", text);
    shown_ = true;
  }
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0, shown_ = false;
  std::chrono::steady_clock::time_point next_ = {};
};

struct TrainOptions {
  std::vector<std::filesystem::path> files;
  std::string out;
  int64_t size = 32768;
  TextLimits limits;
  DocumentOptions documents;
  int threads = 0;
};

void train(const TrainOptions& o) {
  set_threads(o.threads);
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  require(o.size >= smallest_vocabulary(), "--vocab-size: expected at least {}, the 256 bytes and the special tokens, found {}",
          smallest_vocabulary(), o.size);
  require_other_files(o.out, o.files);
  try_to_write(o.out);
  ProgressLine progress;
  const auto reader = open_documents(o.files, o.documents);
  int64_t bytes = 0;
  const PieceCounts pieces = count_pieces(*reader, paper_pattern(), o.limits, [&](int64_t counted, int64_t characters) {
    bytes = counted;
    progress.show(
        fmt::format("counting pieces: {} characters, {:.0f} MB/s", grouped(characters), double(bytes) / 1e6 / seconds()));
  });
  notice_of(reader->counts(), "training text");
  const double counted = seconds();
  const Tokenizer tokenizer(train_bpe(pieces, o.size, [&](int64_t done, int64_t total) {
    progress.show(fmt::format("merging: {} of {} from {} different pieces, {:.0f} s left", grouped(done), grouped(total),
                              grouped(int64_t(pieces.size())), (seconds() - counted) * double(total - done) / double(done)));
  }));
  save_all(tokenizer, o.out);
  notice(fmt::format("{}: {} ids from {} bytes, {} different pieces, in {:.1f} s ({:.1f} s to count, {:.1f} s to merge)", o.out,
                     grouped(tokenizer.size()), grouped(bytes), grouped(int64_t(pieces.size())), seconds(), counted,
                     seconds() - counted));
  if (tokenizer.size() < o.size) notice(fmt::format("the text has pairs for no more; {} were asked for", grouped(o.size)));
}

void add_train(CLI::App& tokenizer) {
  auto* const command = tokenizer.add_subcommand("train", "Learns a vocabulary from text, by the paper's rules");
  const auto o = std::make_shared<TrainOptions>();
  o->documents.part_bytes = size_t{8} << 20;
  const auto positive = CLI::Range(int64_t{1}, int64_t{1} << 60);
  command->add_option("FILE", o->files, ".parquet, .jsonl, .jsonl.gz, .jsonl.zst, text, or folders of them")->required();
  command->add_option("--vocab-size", o->size, "ids in all, the nine special tokens among them")
      ->check(CLI::Range(int64_t{1}, largest_vocabulary))
      ->capture_default_str();
  command->add_option("--out", o->out, "T: writes T.tiktoken, T.json, T.token_bytes.json and T.tokenizer.json")->required();
  command
      ->add_option("--doc-cap", o->limits.document, "characters of a document that are read (the paper: 10000); all if not given")
      ->check(positive);
  command
      ->add_option("--max-chars", o->limits.total,
                   "stop after the document that exceeds so many characters (the paper: 2000000000)")
      ->check(positive);
  command->add_option("--field", o->documents.field, "the Parquet column, the key in JSON Lines")->capture_default_str();
  add_threads(*command, o->threads);
  command->footer("Example: kappa tokenizer train --vocab-size 32768 --doc-cap 10000 --out runs/tokenizer/mine shards/");
  command->callback([o] { train(*o); });
}

void add_import(CLI::App& tokenizer) {
  struct Options {
    std::string file, out;
  };
  auto* const command = tokenizer.add_subcommand("import", "Turns a tokenizer of another program into files of ours");
  const auto o = std::make_shared<Options>();
  command->add_option("FILE", o->file, tokenizer_help)->required();
  command->add_option("--out", o->out, "T: writes T.tiktoken, T.json, T.token_bytes.json and T.tokenizer.json")->required();
  command->footer("Example: kappa tokenizer import tokenizer.pkl --out kappa32k");
  command->callback([o] {
    require_other_files(o->out, {o->file});
    require_other_files(o->out, tokenizer_files(o->file));
    const Tokenizer loaded = load_with_notice(o->file);
    try_to_write(o->out);
    save_all(loaded, o->out);
    notice(fmt::format("{}: {} ids, split as by {}", o->out, grouped(loaded.size()), loaded.vocabulary().pattern->name));
  });
}

void add_encode(CLI::App& tokenizer) {
  struct Options {
    std::string tokenizer, file, ids = "-";
    DocumentOptions documents;
    bool specials = false, bos = false;
    int threads = 0;
  };
  auto* const command = tokenizer.add_subcommand("encode", "Texts to ids: {\"ids\": […]} a document");
  const auto o = std::make_shared<Options>();
  command->add_option("FILE", o->file, "a document a line of .jsonl, .jsonl.gz, .jsonl.zst, a row of .parquet; or one of text")
      ->required();
  command->add_option("--tokenizer", o->tokenizer, tokenizer_help)->required();
  command->add_option("--ids", o->ids, "the file to write; - is standard output")->capture_default_str();
  command->add_flag("--special-tokens", o->specials, "where the text of a special token stands, its id; else it is text");
  command->add_flag("--bos", o->bos, "the BOS before every document");
  command->add_option("--field", o->documents.field, "the Parquet column, the key in JSON Lines")->capture_default_str();
  add_threads(*command, o->threads);
  command->footer("Example: kappa tokenizer encode --tokenizer kappa32k.tiktoken texts.jsonl --ids ids.jsonl");
  command->callback([o] {
    set_threads(o->threads);
    require_other_file("--ids", o->ids, {o->file, o->tokenizer});
    require_other_file("--ids", o->ids, tokenizer_files(o->tokenizer));
    const Tokenizer loaded = load_with_notice(o->tokenizer);
    const auto reader = open_documents(o->file, o->documents);
    Output out(o->ids);
    encode_lines(loaded, *reader, {.specials = o->specials, .bos = o->bos}, out);
    notice_of(reader->counts(), o->file);
    out.finish();
  });
}

void add_decode(CLI::App& tokenizer) {
  struct Options {
    std::string tokenizer, file, out = "-";
  };
  auto* const command = tokenizer.add_subcommand("decode", "Ids to texts: {\"text\": …} a document");
  const auto o = std::make_shared<Options>();
  command->add_option("IDS", o->file, "{\"ids\": […]} a line, .gz and .zst as well")->required();
  command->add_option("--tokenizer", o->tokenizer, tokenizer_help)->required();
  command->add_option("--out", o->out, "the file to write; - is standard output")->capture_default_str();
  command->footer("Example: kappa tokenizer decode --tokenizer kappa32k.tiktoken ids.jsonl --out texts.jsonl");
  command->callback([o] {
    require_other_file("--out", o->out, {o->file, o->tokenizer});
    require_other_file("--out", o->out, tokenizer_files(o->tokenizer));
    const Tokenizer loaded = load_with_notice(o->tokenizer);
    Lines lines(open_bytes(o->file), o->file);
    Output out(o->out);
    const int64_t replacements = decode_lines(loaded, lines, out);
    notice_of({.replacements = replacements}, o->file);
    out.finish();
  });
}

void add_inspect(CLI::App& tokenizer) {
  struct Options {
    std::string tokenizer, file, text, color = "auto";
    DocumentOptions documents;
    int64_t pieces = 40;
  };
  auto* const command = tokenizer.add_subcommand("inspect", "What a tokenizer is, and how it cuts a text");
  const auto o = std::make_shared<Options>();
  command->add_option("FILE", o->file, "whose first document is cut");
  command->add_option("--tokenizer", o->tokenizer, tokenizer_help)->required();
  command->add_option("--text", o->text, "a text to cut");
  command->add_option("--pieces", o->pieces, "how many are listed with their ids")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--color", o->color, "auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command->footer("Example: kappa tokenizer inspect --tokenizer kappa32k.tiktoken --text \"The cat's 1234 lives\"");
  command->callback([o] {
    const Tokenizer loaded = load_with_notice(o->tokenizer);
    std::string text = o->text;
    if (!o->file.empty()) open_documents(o->file, o->documents)->next(text);
    Output out("-");
    show_tokenizer(loaded, out);
    if (!text.empty()) show_split(loaded, text, o->pieces, wants_color(o->color), out);
    out.finish();
  });
}

}  // namespace

void add_tokenizer_command(CLI::App& app) {
  auto* const tokenizer = app.add_subcommand("tokenizer", "Trains tokenizers, and turns texts into ids and back");
  tokenizer->require_subcommand(1);
  tokenizer->footer(
      "Examples:\n"
      "  kappa tokenizer inspect --tokenizer kappa32k.tiktoken --text \"The cat's 1234 lives\"\n"
      "  kappa tokenizer encode --tokenizer kappa32k.tiktoken texts.jsonl --ids ids.jsonl\n"
      "kappa tokenizer COMMAND --help explains each.");
  add_train(*tokenizer);
  add_import(*tokenizer);
  add_encode(*tokenizer);
  add_decode(*tokenizer);
  add_inspect(*tokenizer);
}

}  // namespace kappa
