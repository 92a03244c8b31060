#pragma once
// Documents as JSON Lines: the string under one key of the object in every line.

#include "data/byte_stream.h"
#include "data/documents.h"

namespace kappa {

/// Blank lines do not count. JSON is UTF-8 by definition, so bytes that are not are an error here, not a replacement.
class JsonLines : public DocumentReader {
 public:
  /// Whatever next() throws begins with `name` and the line.
  JsonLines(std::unique_ptr<ByteStream> bytes, std::string name, std::string field)
      : lines_(std::move(bytes), std::move(name)), field_(std::move(field)) {}

  bool next(std::string& text) override;

 private:
  Lines lines_;
  std::string field_;
};

}  // namespace kappa
