#include "data/token_loader.h"

#include <algorithm>

#include "data/ahead_stream.h"
#include "engine/core/error.h"
#include "engine/device/thread_pool.h"

namespace kappa {

static void check(BatchShape shape) {
  require(shape.rows >= 1 && shape.length >= 1, "batch: expected at least one row and one token, found {} by {}", shape.rows,
          shape.length);
  constexpr int64_t most = int64_t{1} << 28;
  require(shape.rows <= most / shape.length, "batch: expected at most {} tokens, found {} rows of {}", most, shape.rows,
          shape.length);
}

static std::unique_ptr<SegmentStream> ahead(std::unique_ptr<SegmentStream> stream, int64_t workers) {
  if (workers == 0) return stream;
  return std::make_unique<AheadStream>(std::move(stream), workers);
}

PackedLoader::PackedLoader(std::unique_ptr<SegmentStream> stream, LongDocuments long_documents, BatchShape shape, int64_t workers)
    : stream_(ahead(std::move(stream), workers)),
      packer_(*stream_, long_documents),
      shape_(shape),
      workers_(workers),
      fingerprint_(stream_->fingerprint()) {
  check(shape);
}

PackedLoader::PackedLoader(const TokenCorpus& corpus, const StreamOptions& options, int64_t rows, int64_t workers)
    : PackedLoader(std::make_unique<CorpusStream>(corpus, options), options.long_documents, {rows, options.length}, workers) {}

PackedLoader::Packed PackedLoader::pack() {
  const auto [rows, length] = shape_;
  Packed packed{.batch = {.inputs = {}, .targets = {}, .rows = rows, .length = length}};
  Batch& batch = packed.batch;
  batch.inputs.reserve(size_t(rows * length)), batch.targets.reserve(size_t(rows * length));
  std::vector<int32_t> row(static_cast<size_t>(length + 1));
  for (int64_t r = 0; r < rows; ++r) {
    packer_.pack(row);
    batch.inputs.insert(batch.inputs.end(), row.begin(), row.end() - 1);
    batch.targets.insert(batch.targets.end(), row.begin() + 1, row.end());
  }
  packed.state = packer_.state();
  packed.counts = packer_.counts();
  return packed;
}

Batch PackedLoader::next() {
  if (workers_ > 0 && !ahead_) {
    constexpr int64_t tokens = int64_t{1} << 20;
    const auto room = size_t(std::clamp<int64_t>(tokens / (shape_.rows * shape_.length), 2, 64));
    ahead_ = std::make_unique<Ahead<Packed>>(room, [this] { return pack(); });
  }
  packed_ = ahead_ ? ahead_->next() : pack();
  return std::move(packed_.batch);
}

LoaderState PackedLoader::state() const { return {fingerprint_, stream_->rank(), packed_.state}; }

void PackedLoader::restore(const LoaderState& state) {
  const RankOf now = stream_->rank();
  require(state.rank == now, "loader state: it was written by rank {} of {}, and this is rank {} of {}", state.rank.rank,
          state.rank.world, now.rank, now.world);
  require(state.stream == fingerprint_, "loader state: it belongs to other training data, or to another row length or seed");
  ahead_.reset();
  packer_.restore(state.packer);
  packed_ = {.batch = {}, .state = state.packer};
}

void PackedLoader::begin_at(int64_t slice) {
  ahead_.reset();
  packer_.begin_at(slice);
  packed_ = {.batch = {}, .state = packer_.state()};
}

WindowLoader::WindowLoader(const TokenCorpus& corpus, BatchShape shape, int64_t rank, int64_t world)
    : corpus_(corpus), shape_(shape), rank_(rank), world_(world) {
  check(shape);
  check(RankOf{rank, world});
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
