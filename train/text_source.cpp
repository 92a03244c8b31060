#include "train/text_source.h"

#include "data/bpe_trainer.h"
#include "data/tokenizer_file.h"

namespace kappa {
namespace {

constexpr const char* own_tokenizer = "tokenizer.tiktoken";

/// What `read` has to say about a file begins with the key that named the file, which the reader does not know.
template <class Read>
auto of_key(const char* key, Read read) {
  try {
    return read();
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", key, error.what()));
  }
}

Tokenizer train_tokenizer(const RunConfig& config, const Validation& validation,
                          const std::function<void(const std::string&)>& say) {
  const std::string& from = config.tokenizer.train_from;
  const int64_t size = config.tokenizer.vocab_size.value_or(config.model.vocab_size);
  require(size >= smallest_vocabulary(), "tokenizer.vocab_size: expected at least {}, the bytes and special tokens, found {}",
          smallest_vocabulary(), size);
  say(fmt::format("training a tokenizer of {} entries on {}", size, from.empty() ? config.data.path : from));
  const PieceCounts pieces = of_key(from.empty() ? "data.path" : "tokenizer.train_from", [&] {
    return count_pieces(*(from.empty() ? open_split(config.data.path, validation, Split::train) : open_documents(from)),
                        paper_pattern());
  });
  return Tokenizer(train_bpe(pieces, size));
}

}  // namespace

PackedLoader TextSource::training_loader(const RunConfig& config) const {
  return PackedLoader(
      training,
      {.length = config.model.sequence_len, .long_documents = config.data.long_documents, .seed = uint64_t(config.train.seed)},
      config.train.device_batch_size);
}

WindowLoader TextSource::validation_loader(const RunConfig& config) const {
  return WindowLoader(validation, {.rows = config.train.device_batch_size, .length = config.model.sequence_len});
}

void TextSource::keep_tokenizer(const std::filesystem::path& folder) const {
  if (!std::filesystem::exists(folder / own_tokenizer)) save_tokenizer(*tokenizer, folder / own_tokenizer);
}

TextSource open_text(const RunConfig& config, const std::filesystem::path& folder,
                     const std::function<void(const std::string&)>& say) {
  require(!config.data.path.empty(), "data.path: expected a file or a folder of text, found nothing");
  require(std::filesystem::exists(config.data.path),
          "data.path: {} is not there; for configs/quickstart.yaml, scripts/quickstart-text.sh writes it", config.data.path);
  require(!config.data.validation.empty(),
          "data.validation: expected a file, or the share of documents to hold out, such as 0.05; found nothing");
  const Validation validation = Validation::parse(config.data.validation);
  const std::filesystem::path own = folder / own_tokenizer;
  TextSource source;
  if (std::filesystem::exists(own)) {
    source.tokenizer = std::make_unique<Tokenizer>(load_tokenizer(own));
  } else {
    std::string notice;
    const auto given = [&] { return load_tokenizer(config.data.tokenizer, &notice); };
    source.tokenizer = std::make_unique<Tokenizer>(config.data.tokenizer.empty() ? train_tokenizer(config, validation, say)
                                                                                 : of_key("data.tokenizer", given));
    if (!notice.empty()) say(notice);
  }
  require(source.tokenizer->size() <= config.model.vocab_size,
          "model.vocab_size: expected at least the tokenizer's {} entries, found {}", source.tokenizer->size(),
          config.model.vocab_size);
  source.token_bytes = source.tokenizer->token_bytes();
  source.token_bytes.resize(size_t(config.model.vocab_size), 0);
  const auto read = [&](Split split, const std::string& name) {
    return tokenize(*source.tokenizer, *open_split(config.data.path, validation, split), name);
  };
  source.training = of_key("data.path", [&] { return read(Split::train, config.data.path); });
  const std::string held_out =
      validation.file.empty() ? fmt::format("{} of {}", config.data.validation, config.data.path) : config.data.validation;
  source.validation = of_key("data.validation", [&] { return read(Split::validation, held_out); });
  say(fmt::format("text: {} documents, {} tokens to learn from; {} documents, {} tokens held out", source.training.documents(),
                  source.training.tokens.size(), source.validation.documents(), source.validation.tokens.size()));
  return source;
}

}  // namespace kappa
