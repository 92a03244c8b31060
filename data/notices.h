#pragma once
// What commands say on standard error while they go on.

#include <string>

#include "data/documents.h"
#include "data/tokenizer.h"

namespace kappa {

/// "kappa: …" in a line of its own.
void notice(const std::string& text);

/// What was met in a file besides documents, if anything.
void notice_of(const ReadCounts& counts, const std::string& file);

/// Says where something had to be assumed (load_tokenizer).
Tokenizer load_with_notice(const std::string& path);

}  // namespace kappa
