#include "data/text_stream.h"

#include "data/document_stream.h"
#include "data/fingerprint.h"
#include "data/shard_stream.h"
#include "engine/core/utf8.h"

namespace kappa {

std::unique_ptr<SegmentStream> open_stream(const Tokenizer& tokenizer, const std::vector<std::filesystem::path>& files,
                                           const TextStreamOptions& options) {
  if (is_parquet(files.front())) return std::make_unique<ShardStream>(tokenizer, files, options);
  return std::make_unique<DocumentStream>(tokenizer, files, options);
}

std::function<Slice()> to_be_tokenized(const Tokenizer& tokenizer, TextSlice texts) {
  return [&tokenizer, texts = std::move(texts)]() mutable {
    Slice slice{.segments = {}, .counts = texts.counts};
    for (auto& [number, text] : texts.documents) {
      const RepairedText repaired = repair_utf8(std::move(text));
      slice.counts.replacements += repaired.replacements;
      Segment segment{.number = number, .tokens = {tokenizer.bos_id()}};
      tokenizer.encode(repaired.text, segment.tokens);
      slice.segments.push_back(std::move(segment));
    }
    if (texts.again) slice.counts = {};
    return slice;
  };
}

uint64_t fingerprint(const Tokenizer& tokenizer, const TextStreamOptions& options) {
  Fingerprint fingerprint;
  const Vocabulary& v = tokenizer.vocabulary();
  fingerprint.add(v.pattern->regex), fingerprint.add(v.bos);
  for (const std::string& token : v.tokens) fingerprint.add(token);
  for (const Special& special : v.specials) fingerprint.add(special.text), fingerprint.add(uint64_t(special.id));
  fingerprint.add(options.documents.field);
  fingerprint.add(uint64_t(options.share.every)), fingerprint.add(uint64_t(options.share.split));
  return fingerprint.value();
}

}  // namespace kappa
