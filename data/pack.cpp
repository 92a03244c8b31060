#include "data/pack.h"

#include "data/output.h"
#include "data/shard_stream.h"
#include "data/strict_json.h"
#include "data/token_loader.h"
#include "engine/core/within.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const PackRequest& request) {
  const auto& [file, every] = request.validation;
  const bool nothing_held_out = file.empty() && every == 0 && fs::is_regular_file(request.path);
  if (request.split == Split::validation && nothing_held_out) return {request.path};
  return split_files(request.path, request.validation, request.split);
}

/// Goes on from a state file. One of shards without "slices" is the paper's: that is gone on from with the next row group.
/// `shards` is null where the text is in other files.
void restore(PackedLoader& loader, const fs::path& path, const ShardStream* shards) {
  const std::string file = path.string();
  const Json json = parse_object(read_file(path), file);
  expect_keys(file, json, {"pq_idx", "rg_idx", "epoch", "stream", "rank", "world", "slices", "waiting"});
  if (json.contains("slices") || shards == nullptr) {
    const LoaderState state = loader_state(file, json);
    return within(file, [&] { loader.restore(state); });
  }
  const ShardPosition position{.file = member<int64_t>(file, json, "pq_idx"),
                               .row_group = member<int64_t>(file, json, "rg_idx"),
                               .epoch = json.contains("epoch") ? member<int64_t>(file, json, "epoch") : 1};
  within(file, [&] { loader.begin_at(shards->slice_after(position)); });
}

std::string text_of(const LoaderState& state, const ShardStream* shards) {
  auto json = nlohmann::ordered_json::object();
  if (shards != nullptr) {
    const auto [file, row_group, epoch] = shards->position(state.packer.slices - 1);
    json = {{"pq_idx", file}, {"rg_idx", row_group}, {"epoch", epoch}};
  }
  json.update(to_json(state));
  return json.dump() + "\n";
}

}  // namespace

ReadCounts pack_rows(const Tokenizer& tokenizer, const PackRequest& request) {
  auto stream =
      open_stream(tokenizer, files_of(request),
                  {.rank = request.rank, .documents = request.documents, .share = {request.validation.every, request.split}});
  const auto* const shards = dynamic_cast<const ShardStream*>(stream.get());
  PackedLoader loader(std::move(stream), LongDocuments::crop, {.rows = request.batch, .length = request.length}, request.workers);
  if (request.state && fs::exists(*request.state)) restore(loader, *request.state, shards);
  Output out(request.out);
  std::optional<AtomicFile> state;
  if (request.state) state.emplace(*request.state);  // before the rows, so that these do not come without it

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
  if (state) {
    state->write(text_of(loader.state(), shards));
    state->commit();
  }
  return loader.counts();
}

}  // namespace kappa
