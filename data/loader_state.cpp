#include "data/loader_state.h"

#include <nlohmann/json.hpp>

namespace kappa {

using Json = nlohmann::ordered_json;

Json to_json(const LoaderState& state) {
  Json waiting = Json::array();
  for (const auto& [segment, used] : state.packer.waiting) waiting.push_back({segment, used});
  return {{"stream", state.stream},
          {"rank", state.rank.rank},
          {"world", state.rank.world},
          {"slices", state.packer.slices},
          {"waiting", std::move(waiting)}};
}

LoaderState loader_state(const Json& json) {
  LoaderState state;
  json.at("stream").get_to(state.stream);
  json.at("rank").get_to(state.rank.rank);
  json.at("world").get_to(state.rank.world);
  json.at("slices").get_to(state.packer.slices);
  for (const Json& w : json.at("waiting")) state.packer.waiting.push_back({w.at(0), w.at(1)});
  return state;
}

}  // namespace kappa
