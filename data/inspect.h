#pragma once
// `kappa data inspect`: what a file of texts holds, for people to read.

#include <filesystem>

#include "data/documents.h"
#include "data/output.h"
#include "data/tokenizer.h"

namespace kappa {

struct InspectOptions {
  DocumentOptions documents = {};
  const Tokenizer* tokenizer = nullptr;  // with one, token statistics and a packed row
  int64_t limit = 1000;                  // documents that are read for statistics
  int64_t length = 256;                  // tokens of the packed row
  bool color = false;
};

/// Of Parquet the schema, the row groups, their sizes, encodings and codecs; of a folder its files and what is held out; of any
/// path its documents and their lengths. Throws InputError as reading the documents does.
void inspect(const std::filesystem::path& path, const InspectOptions& options, Output& out);

}  // namespace kappa
