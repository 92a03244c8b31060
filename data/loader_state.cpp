#include "data/loader_state.h"

#include "data/strict_json.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

/// Far more than anybody reads, and far from where counting them would overflow.
constexpr int64_t most_slices = int64_t{1} << 40;

/// A count below `end`; −1 of anything else.
int64_t count_below(int64_t end, const Json& json) {
  if (!json.is_number_integer()) return -1;
  const bool negative = !json.is_number_unsigned() && json.get<int64_t>() < 0;
  return negative || json.get<uint64_t>() >= uint64_t(end) ? -1 : json.get<int64_t>();
}

/// Segments are numbered as they come, at most slice_size a slice, and wait in that order.
std::vector<PackerState::Waiting> read_waiting(const std::string& file, const Json& json, int64_t slices) {
  require(json.is_array(), "{}: waiting: expected a list of [segment, used], found {}", file, shown(json));
  std::vector<PackerState::Waiting> waiting;
  for (const Json& pair : json) {
    const bool two = pair.is_array() && pair.size() == 2;
    const PackerState::Waiting w{two ? count_below(slices * slice_size, pair[0]) : -1,
                                 two ? count_below(int64_t{1} << 40, pair[1]) : -1};
    require(w.segment >= 0 && w.used >= 0, "{}: waiting: expected [segment, used], segments of {} slices, found {}", file, slices,
            printable(pair.dump()));
    require(waiting.empty() || waiting.back().segment < w.segment,
            "{}: waiting: expected every segment once, in their order, found {} after {}", file, w.segment,
            waiting.empty() ? 0 : waiting.back().segment);
    waiting.push_back(w);
  }
  return waiting;
}

}  // namespace

nlohmann::ordered_json to_json(const LoaderState& state) {
  auto waiting = nlohmann::ordered_json::array();
  for (const auto& [segment, used] : state.packer.waiting) waiting.push_back({segment, used});
  return {{"stream", state.stream},
          {"rank", state.rank.rank},
          {"world", state.rank.world},
          {"slices", state.packer.slices},
          {"waiting", std::move(waiting)}};
}

LoaderState loader_state(const std::string& file, const Json& json) {
  LoaderState state;
  state.stream = member<uint64_t>(file, json, "stream");
  state.rank.rank = member<int64_t>(file, json, "rank");
  state.rank.world = member<int64_t>(file, json, "world");
  const Json& slices = part(file, json, "slices");
  state.packer.slices = count_below(most_slices, slices);
  require(state.packer.slices >= 0, "{}: slices: expected an integer from 0 to {}, found {}", file, most_slices - 1,
          shown(slices));
  state.packer.waiting = read_waiting(file, part(file, json, "waiting"), state.packer.slices);
  return state;
}

}  // namespace kappa
