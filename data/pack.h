#pragma once
// `kappa data pack`: the rows that training would see, or evaluation on Parquet shards, written down.

#include <optional>

#include "data/text_stream.h"

namespace kappa {

struct PackRequest {
  std::filesystem::path path;  // a folder, or one file
  Validation validation = {};
  Split split = Split::train;  // of a single file, where `validation` names nothing, all is for validation
  RankOf rank = {};
  DocumentOptions documents = {};
  int64_t rows = 0, length = 0, batch = 0;  // N, T, B
  int64_t workers = 2;                      // PackedLoader's
  std::string out = "-";
  std::optional<std::filesystem::path> state = {};
};

/// Writes {"inputs": [T ids], "targets": [T ids]}, one row a line, as batches of B give them; of the last batch only the rows
/// that are asked for. Goes on from the file `state`, if it is there, and leaves in it where the loader stands after the last
/// batch:
///
///     pq_idx, rg_idx, epoch                   of Parquet, the slice that was fetched last (ShardPosition), as the paper's code
///                                             knows it
///     stream, rank, world, slices, waiting    what makes going on exact (LoaderState)
///
/// A state of the first three keys alone is gone on from as the paper's code does, by any number of ranks: with the next row
/// group and an empty buffer. Gives what was met while reading. Throws InputError naming the file and the key.
ReadCounts pack_rows(const Tokenizer& tokenizer, const PackRequest& request);

}  // namespace kappa
