#include "train/text_source.h"

#include <algorithm>
#include <limits>

#include "data/bpe_trainer.h"
#include "data/text_stream.h"
#include "data/tokenizer_file.h"
#include "engine/core/within.h"
#include "engine/memory/host_memory.h"

namespace kappa {
namespace {

DocumentOptions reading(const RunConfig& config) { return {.skip_damaged = config.data.skip_damaged}; }

Tokenizer train_tokenizer(const RunConfig& config, const Validation& validation,
                          const std::function<void(const std::string&)>& say) {
  const std::string& from = config.tokenizer.train_from;
  const int64_t size = config.tokenizer.vocab_size.value_or(config.model.vocab_size);
  require(size >= smallest_vocabulary(), "tokenizer.vocab_size: expected at least {}, the bytes and special tokens, found {}",
          smallest_vocabulary(), size);
  const PieceCounts pieces = within(from.empty() ? "data.path" : "tokenizer.train_from", [&] {
    const auto text = from.empty() ? open_split(config.data.path, validation, Split::train, reading(config))
                                   : open_documents(from, reading(config));
    say(fmt::format("training a tokenizer of {} entries on {}", size, from.empty() ? config.data.path : from));
    return count_pieces(*text, paper_pattern());
  });
  return Tokenizer(train_bpe(pieces, size));
}

Tokenizer find_tokenizer(const RunConfig& config, const RunFolder& folder, const Validation& validation,
                         const std::function<void(const std::string&)>& say) {
  if (folder.has_tokenizer()) return load_tokenizer(folder.tokenizer());
  if (config.data.tokenizer.empty()) return train_tokenizer(config, validation, say);
  std::string notice;
  Tokenizer tokenizer = within("data.tokenizer", [&] { return load_tokenizer(config.data.tokenizer, &notice); });
  if (!notice.empty()) say(notice);
  return tokenizer;
}

/// A quarter of the machine's memory, if it says how much that is: while a vector grows, it is there three times over.
int64_t most_tokens_in_memory() {
  const int64_t total = host_memory().total;
  return total > 0 ? total / 4 / int64_t(sizeof(int32_t)) : std::numeric_limits<int64_t>::max();
}

/// What open_text() says when it is done.
std::string described(const TextSource& source, size_t files) {
  const auto in_memory = [](const TokenCorpus& corpus) {
    return fmt::format("{} documents, {} tokens", corpus.documents(), corpus.tokens.size());
  };
  return fmt::format("text: {} to learn from; {} held out",
                     source.stream ? fmt::format("{} file{}", files, files == 1 ? "" : "s") : in_memory(source.training),
                     source.packed_shards.empty() ? in_memory(source.validation) : source.packed_shards.front().string());
}

}  // namespace

PackedLoader TextSource::training_loader(const RunConfig& config) {
  const BatchShape shape{config.train.device_batch_size, config.model.sequence_len};
  auto segments = std::move(stream);
  if (!segments)
    segments = std::make_unique<CorpusStream>(
        training,
        StreamOptions{.length = shape.length, .long_documents = config.data.long_documents, .seed = uint64_t(config.train.seed)});
  return PackedLoader(std::move(segments), config.data.long_documents, shape, config.data.workers);
}

BatchSequence TextSource::validation_batches(const RunConfig& config) const {
  const BatchShape shape{config.train.device_batch_size, config.model.sequence_len};
  if (packed_shards.empty()) {
    const auto loader = std::make_shared<WindowLoader>(validation, shape);
    return {loader->batches(), [loader, index = int64_t{0}]() mutable { return loader->batch(index++); }};
  }
  const auto loader = std::make_shared<PackedLoader>(open_stream(*tokenizer, packed_shards, {.documents = reading(config)}),
                                                     LongDocuments::crop, shape, config.data.workers);
  return {std::max<int64_t>(1, config.train.eval_tokens / (shape.rows * shape.length)), [loader] { return loader->next(); }};
}

void TextSource::keep_tokenizer(const RunFolder& folder) const {
  if (!folder.has_tokenizer()) save_tokenizer(*tokenizer, folder.tokenizer());
}

TextFiles find_text(const RunConfig& config) {
  const std::string& path = config.data.path;
  require(!path.empty(), "data.path: expected a file or a folder of text, found nothing");
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  require(status.type() != std::filesystem::file_type::none, "data.path: {}: {}", path, error.message());
  require(std::filesystem::exists(status),
          "data.path: {} is not there; for configs/quickstart.yaml, scripts/quickstart-text.sh writes it", path);
  within("data.path", [&] { return text_files(path); });  // whatever is held out of them
  return within("data.validation", [&]() -> TextFiles {
    const Validation validation = Validation::parse(config.data.validation);
    return {validation, split_files(path, validation, Split::train), split_files(path, validation, Split::validation)};
  });
}

TextSource open_text(const RunConfig& config, const RunFolder& folder, const std::function<void(const std::string&)>& say) {
  const std::string& path = config.data.path;
  const TextFiles files = find_text(config);
  TextSource source;
  source.tokenizer = std::make_unique<Tokenizer>(find_tokenizer(config, folder, files.validation, say));
  require(source.tokenizer->size() <= config.model.vocab_size,
          "model.vocab_size: expected at least the tokenizer's {} entries, found {}", source.tokenizer->size(),
          config.model.vocab_size);
  source.token_bytes = source.tokenizer->token_bytes();
  source.token_bytes.resize(size_t(config.model.vocab_size), 0);

  const bool in_memory = config.data.long_documents == LongDocuments::split;
  const auto warn = [&](const DocumentReader& documents, const std::string& name) {
    if (const ReadCounts counts = documents.counts(); counts.left_out() > 0)
      say(fmt::format("warning: {}: left out, as damaged: {}", name, described(counts)));
  };
  within("data.path", [&] {
    const Share share{files.validation.every, Split::train};
    if (in_memory) {
      const auto documents = open_files(files.training, reading(config), share);
      source.training = tokenize_all(*source.tokenizer, *documents, path, most_tokens_in_memory());
      warn(*documents, path);
    } else {
      source.stream = open_stream(*source.tokenizer, files.training, {.documents = reading(config), .share = share});
      source.stream->read_slice(0);  // what is wrong from the beginning is said now
    }
  });
  within("data.validation", [&] {
    if (!in_memory && config.data.validation.empty() && is_parquet(files.held_out.front())) {
      source.packed_shards = files.held_out;
      return;
    }
    const std::string held_out =
        files.validation.every > 0 ? fmt::format("{} of {}", config.data.validation, path) : files.held_out.front().string();
    const Share share{files.validation.every, Split::validation};
    const auto documents = open_files(files.held_out, reading(config), share);
    source.validation = tokenize(*source.tokenizer, *documents, held_out, config.train.eval_tokens);
    warn(*documents, held_out);
  });
  say(described(source, files.training.size()));
  return source;
}

}  // namespace kappa
