#include "data/notices.h"

#include <fmt/format.h>

#include <cstdio>

#include "data/tokenizer_file.h"
#include "engine/core/text.h"

namespace kappa {

void notice(const std::string& text) { fmt::print(stderr, "kappa: {}\n", one_line(text)); }

void notice_of(const ReadCounts& counts, const std::string& file) {
  if (counts.replacements > 0)
    notice(fmt::format("{}: {} ill-formed parts of UTF-8 replaced by U+FFFD", file, counts.replacements));
  if (counts.nulls > 0) notice(fmt::format("{}: {} rows without a text left out", file, counts.nulls));
  if (counts.left_out() > 0) notice(fmt::format("{}: left out as damaged: {}", file, described(counts)));
}

Tokenizer load_with_notice(const std::string& path) {
  std::string assumed;
  Tokenizer tokenizer = load_tokenizer(path, &assumed);
  if (!assumed.empty()) notice(assumed);
  return tokenizer;
}

}  // namespace kappa
