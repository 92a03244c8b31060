#include "data/pack.h"

#include "data/output.h"
#include "data/strict_json.h"
#include "data/token_loader.h"
#include "engine/core/within.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

/// Goes on from a state file. One without "slices" is the paper's: that is gone on from with the next row group.
void restore(PackedLoader& loader, const ShardStream& stream, const fs::path& path) {
  const std::string file = path.string();
  const Json json = parse_object(read_file(path), file);
  expect_keys(file, json, {"pq_idx", "rg_idx", "epoch", "stream", "rank", "world", "slices", "waiting"});
  if (json.contains("slices")) {
    const LoaderState state = loader_state(file, json);
    return within(file, [&] { loader.restore(state); });
  }
  const ShardPosition position{.file = member<int64_t>(file, json, "pq_idx"),
                               .row_group = member<int64_t>(file, json, "rg_idx"),
                               .epoch = json.contains("epoch") ? member<int64_t>(file, json, "epoch") : 1};
  within(file, [&] { loader.begin_at(stream.slice_after(position)); });
}

void write_state(const fs::path& path, const LoaderState& state, const ShardPosition& position) {
  nlohmann::ordered_json json{{"pq_idx", position.file}, {"rg_idx", position.row_group}, {"epoch", position.epoch}};
  json.update(to_json(state));
  write_file(path, json.dump() + "\n");
}

}  // namespace

ReadCounts pack_rows(const Tokenizer& tokenizer, const PackRequest& request) {
  auto owned = std::make_unique<ShardStream>(tokenizer, shards_of(request.shards, request.split), request.options);
  const ShardStream& stream = *owned;
  PackedLoader loader(std::move(owned), LongDocuments::crop, {.rows = request.batch, .length = request.length}, request.workers);
  Output out(request.out);
  if (request.state && fs::exists(*request.state)) restore(loader, stream, *request.state);

  for (int64_t written = 0; written < request.rows;) {
    const Batch batch = loader.next();
    const auto length = size_t(batch.length);
    for (size_t r = 0; r < size_t(batch.rows) && written < request.rows; ++r, ++written) {
      const auto inputs = std::span(batch.inputs).subspan(r * length, length),
                 targets = std::span(batch.targets).subspan(r * length, length);
      out.write(fmt::format("{{\"inputs\":[{}],\"targets\":[{}]}}\n", fmt::join(inputs, ","), fmt::join(targets, ",")));
    }
  }
  out.finish();
  if (request.state) {
    const LoaderState state = loader.state();
    write_state(*request.state, state, stream.position(state.packer.slices - 1));
  }
  return loader.counts();
}

}  // namespace kappa
