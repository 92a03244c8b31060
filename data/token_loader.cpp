#include "data/token_loader.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

static void check(BatchShape shape) {
  require(shape.rows >= 1 && shape.length >= 1, "batch: expected at least one row and one token, found {} by {}", shape.rows,
          shape.length);
}

PackedLoader::PackedLoader(std::unique_ptr<SegmentStream> stream, LongDocuments long_documents, BatchShape shape)
    : stream_(std::move(stream)), packer_(*stream_, long_documents), shape_(shape), fingerprint_(stream_->fingerprint()) {
  check(shape);
}

PackedLoader::PackedLoader(const TokenCorpus& corpus, const StreamOptions& options, int64_t rows)
    : PackedLoader(std::make_unique<CorpusStream>(corpus, options), options.long_documents, {rows, options.length}) {}

Batch PackedLoader::next() {
  const auto [rows, length] = shape_;
  Batch batch{.inputs = {}, .targets = {}, .rows = rows, .length = length};
  std::vector<int32_t> row(static_cast<size_t>(length + 1));
  for (int64_t r = 0; r < rows; ++r) {
    packer_.pack(row);
    batch.inputs.insert(batch.inputs.end(), row.begin(), row.end() - 1);
    batch.targets.insert(batch.targets.end(), row.begin() + 1, row.end());
  }
  return batch;
}

void PackedLoader::restore(const LoaderState& state) {
  require(state.stream == fingerprint_,
          "loader state: it belongs to other training data, or to another row length, seed or rank");
  packer_.restore(state.packer);
}

WindowLoader::WindowLoader(const TokenCorpus& corpus, BatchShape shape, int64_t rank, int64_t world)
    : corpus_(corpus), shape_(shape), rank_(rank), world_(world) {
  check(shape);
  require(world >= 1 && rank >= 0 && rank < world, "rank: expected 0 to {}, found {}", world - 1, rank);
  for (int64_t i = 0; i < corpus.documents(); ++i)
    for (int64_t at = corpus.begins[size_t(i)], last = corpus.begins[size_t(i) + 1] - 1; at < last; at += shape.length)
      windows_.push_back({at, std::min(shape.length, last - at)});
  require(!windows_.empty(), "validation: expected documents of at least one token, found none");
}

int64_t WindowLoader::batches() const { return ceil_div(int64_t(windows_.size()), shape_.rows * world_); }

Batch WindowLoader::batch(int64_t index) const {
  require(index >= 0 && index < batches(), "validation: expected batch 0 to {}, found {}", batches() - 1, index);
  const auto [rows, length] = shape_;
  const auto size = static_cast<size_t>(rows * length);
  Batch batch{.inputs = std::vector<int32_t>(size, corpus_.tokens.front()),  // a BOS
              .targets = std::vector<int32_t>(size, -1),
              .rows = rows,
              .length = length};
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t number = (index * world_ + rank_) * rows + r;
    if (number >= int64_t(windows_.size())) break;
    const auto [begin, targets] = windows_[size_t(number)];
    const auto first = corpus_.tokens.begin() + begin;
    std::copy_n(first, targets, batch.inputs.begin() + r * length);
    std::copy_n(first + 1, targets, batch.targets.begin() + r * length);
  }
  return batch;
}

}  // namespace kappa
