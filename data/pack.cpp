#include "data/pack.h"

#include <nlohmann/json.hpp>

#include "data/json_lines.h"
#include "data/output.h"
#include "data/shard_stream.h"
#include "data/token_loader.h"
#include "engine/core/error.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<fs::path> files_of(const PackRequest& request) {
  const auto& [file, every] = request.validation;
  const bool nothing_held_out = file.empty() && every == 0 && fs::is_regular_file(request.path);
  if (request.split == Split::validation && nothing_held_out) return {request.path};
  return split_files(request.path, request.validation, request.split);
}

/// What a state file says. A state without "slices" is the paper's, which shards turn into one of ours; `shards` is null where
/// the text is in other files.
LoaderState state_of(const Json& json, const ShardStream* shards) {
  if (json.contains("slices") || shards == nullptr) return loader_state(json);
  return {.stream = shards->fingerprint(),
          .rank = shards->rank(),
          .packer = {.slices = shards->slice_after(
                         {.file = json.at("pq_idx"), .row_group = json.at("rg_idx"), .epoch = json.value("epoch", int64_t{1})}),
                     .waiting = {}}};
}

void restore(PackedLoader& loader, const fs::path& path, const ShardStream* shards) {
  const std::string text = read_file(path);
  try {
    loader.restore(state_of(Json::parse(text), shards));
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: not a loader's state: {}", path.string(), json_complaint(error)));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

std::string text_of(const LoaderState& state, const ShardStream* shards) {
  Json json = Json::object();
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
