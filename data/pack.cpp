#include "data/pack.h"

#include <nlohmann/json.hpp>

#include "data/output.h"
#include "data/token_loader.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What a state file says; a state without "slices" is the paper's, which the stream turns into one of ours.
LoaderState read_state(const fs::path& path, const ShardStream& stream) {
  try {
    const Json json = Json::parse(read_file(path));
    if (json.contains("slices")) return loader_state(json);
    return {.stream = stream.fingerprint(),
            .rank = stream.rank(),
            .packer = {.slices = stream.slice_after(
                           {.file = json.at("pq_idx"), .row_group = json.at("rg_idx"), .epoch = json.value("epoch", int64_t{1})}),
                       .waiting = {}}};
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: not a loader's state: {}", path.string(), printable(error.what())));
  }
}

void write_state(const fs::path& path, const LoaderState& state, const ShardPosition& position) {
  Json json{{"pq_idx", position.file}, {"rg_idx", position.row_group}, {"epoch", position.epoch}};
  json.update(to_json(state));
  write_file(path, json.dump() + "\n");
}

}  // namespace

ReadCounts pack_rows(const Tokenizer& tokenizer, const PackRequest& request) {
  auto owned = std::make_unique<ShardStream>(tokenizer, shards_of(request.shards, request.split), request.options);
  const ShardStream& stream = *owned;
  PackedLoader loader(std::move(owned), LongDocuments::crop, {.rows = request.batch, .length = request.length}, request.workers);
  Output out(request.out);
  if (request.state && fs::exists(*request.state)) try {
      loader.restore(read_state(*request.state, stream));
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}", request.state->string(), error.what()));
    }

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
