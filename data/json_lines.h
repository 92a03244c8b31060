#pragma once
// Documents as JSON Lines: the string under one key of the object in every line.

#include "data/byte_stream.h"
#include "data/documents.h"

namespace kappa {

/// What the JSON library says about a line or a short file, without its own numbers, for an error of ours.
std::string json_complaint(const std::exception& error);

/// Blank lines do not count. JSON is UTF-8 by definition, so bytes that are not are an error here, not a replacement; only an
/// escaped surrogate without its partner is one.
class JsonLines : public DocumentReader {
 public:
  /// Whatever next() throws begins with `name` and, if it is about one, the line. If options.skip_damaged, such lines are left
  /// out, and where the file itself cannot be read on, the rest of it.
  JsonLines(std::unique_ptr<ByteStream> bytes, std::string name, DocumentOptions options)
      : lines_(std::move(bytes), std::move(name)), options_(std::move(options)) {}

  bool next(std::string& text) override;
  bool skip() override;
  int64_t number() const override { return number_; }
  ReadCounts counts() const override { return counts_; }

 private:
  bool next_line(std::string_view& line);

  Lines lines_;
  DocumentOptions options_;
  ReadCounts counts_;
  int64_t number_ = 0;
};

}  // namespace kappa
