#include "train/checkpoint.h"

#include <algorithm>

#include "data/checksum.h"
#include "data/strict_json.h"
#include "engine/core/file.h"
#include "engine/core/text.h"
#include "model/checkpoint_folder.h"
#include "model/weights.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

constexpr const char* optimizer_file = "optimizer-0.safetensors";

std::string checksum(const fs::path& path) { return fmt::format("{:08x}", crc32_of(MappedFile(path).bytes())); }

nlohmann::ordered_json to_json(const RunState& s) {
  return {{"step", s.step},
          {"smooth_loss", s.smooth_loss},
          {"seconds", s.seconds},
          {"bits_per_byte", s.bits_per_byte},
          {"loader", to_json(s.loader)}};
}

std::string state_file(const fs::path& checkpoint) { return (checkpoint / "state.json").string(); }

RunState read_state(const Json& json, const fs::path& checkpoint) {
  const std::string file = state_file(checkpoint);
  expect_keys(file, json, {"step", "smooth_loss", "seconds", "bits_per_byte", "loader", "crc32"});
  const int64_t step = member<int64_t>(file, json, "step"), expected = checkpoint_step(checkpoint).value_or(step);
  require(step == expected, "{}: step: expected {}, the number of its folder, found {}", file, expected, step);
  const Json& loader = part(file, json, "loader");
  const std::string place = file + ": loader";
  expect_keys(place, loader, {"stream", "rank", "world", "slices", "waiting"});
  return {.step = step,
          .loader = loader_state(place, loader),
          .smooth_loss = member<double>(file, json, "smooth_loss"),
          .seconds = member<double>(file, json, "seconds"),
          .bits_per_byte = member<double>(file, json, "bits_per_byte")};
}

Json state_json(const fs::path& checkpoint) {
  const std::string file = state_file(checkpoint);
  return parse_object(read_file(file), file);
}

/// What reads well may still be other than what was written.
void check_sums(const Json& state, const fs::path& checkpoint) {
  const std::string file = state_file(checkpoint);
  const Json& sums = part(file, state, "crc32");
  for (const char* name : {weights_file, optimizer_file}) {
    const auto expected = member<std::string>(file + ": crc32", sums, name), found = checksum(checkpoint / name);
    require(found == expected, "{}: expected the CRC-32 {}, found {}", (checkpoint / name).string(), printable(expected), found);
  }
}

/// A folder that loses its name before its files, so that under the name it is always whole.
void discard(const fs::path& checkpoint) {
  const fs::path aside = checkpoint.parent_path() / (checkpoint.filename().string() + ".old.tmp");
  fs::remove_all(aside);
  rename_durably(checkpoint, aside);
  fs::remove_all(aside);
}

}  // namespace

fs::path save_checkpoint(const fs::path& checkpoints, const RunState& state, const Gpt& model, const Optimizer& optimizer) {
  const fs::path path = checkpoints / fmt::format("step_{:06}", state.step),
                 aside = checkpoints / (path.filename().string() + ".tmp");
  fs::remove_all(aside);
  std::error_code error;
  fs::create_directories(aside, error);
  if (error) throw RunError(fmt::format("{}: {}", aside.string(), error.message()));
  save_weights(model.store(), aside / weights_file);
  std::vector<StoredTensor> tensors;
  for (const StateTensor& s : optimizer.state()) tensors.push_back(stored(s.name, s.value));
  write_safetensors(aside / optimizer_file, tensors);
  auto json = to_json(state);
  for (const char* name : {weights_file, optimizer_file}) json["crc32"][name] = checksum(aside / name);
  write_file(state_file(aside), json.dump(1) + "\n");
  if (fs::exists(path)) discard(path);
  rename_durably(aside, path);
  return path;
}

RunState load_checkpoint(const fs::path& checkpoint, Gpt& model, Optimizer& optimizer) {
  const Json json = state_json(checkpoint);
  RunState state = read_state(json, checkpoint);
  load_weights(model.store(), checkpoint / weights_file);
  const SafetensorsFile file(checkpoint / optimizer_file);
  for (const StateTensor& s : optimizer.state()) {
    const StoredTensor& entry = file.at(s.name, s.value.shape().extents());
    if (s.value.dtype() == DType::i32)
      file.read(entry, std::span<int32_t>(s.value.data<int32_t>(), size_t(s.value.size())));
    else
      read_values(file, entry, s.value);
  }
  check_sums(json, checkpoint);
  return state;
}

int64_t checkpoint_bytes(const RunConfig& config, const OptimizerSettings& optimizer) {
  const auto [compute, narrow] = storage_of(config.train.precision);
  const Gpt model(config.model);
  int64_t bytes = Optimizer::state_bytes(model.store(), optimizer, compute, narrow);
  for (const Parameter& p : model.store().parameters())
    bytes += p.spec.shape.size() * size_of(ParameterStore::master_dtype(p.spec, compute, narrow));
  return bytes;
}

void check_disk(const fs::path& checkpoints, const CheckpointConfig& config, int64_t steps, int64_t bytes_each) {
  // Those that the run makes, and those that it then keeps with the next one beside them.
  const int64_t every = config.every > 0 ? config.every : steps, extra = int64_t(config.milestones.size()) + config.keep_best;
  const int64_t made = (steps + every - 1) / every + int64_t(config.milestones.size());
  const int64_t kept = config.keep_last + extra + 1, there = int64_t(list_checkpoints(checkpoints).size());
  const double needed = double(std::max<int64_t>(std::min(made, kept) - there, 1)) * double(bytes_each);
  fs::path folder = fs::absolute(checkpoints);
  while (!fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error) return;  // the file system does not say
  require(
      double(space.available) >= needed,
      "{}: the run's checkpoints need {:.0f} bytes ({} of {} each), {} are free; give run.dir a place on another disk, or make "
      "checkpoint.keep_last smaller",
      checkpoints.string(), needed, std::max<int64_t>(std::min(made, kept) - there, 1), bytes_each, space.available);
}

void remove_unfinished_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> unfinished;
  if (fs::is_directory(checkpoints))
    for (const auto& entry : fs::directory_iterator(checkpoints))
      if (entry.path().filename().string().starts_with("step_") && entry.path().extension() == ".tmp")
        unfinished.push_back(entry.path());
  for (const fs::path& path : unfinished) fs::remove_all(path);
}

void prune_checkpoints(const fs::path& checkpoints, const CheckpointConfig& config) {
  auto all = list_checkpoints(checkpoints);
  std::optional<int64_t> best;
  if (config.keep_best) {
    double fewest = 0;
    for (const auto& [step, path] : all)
      if (const double bits = read_state(state_json(path), path).bits_per_byte; bits >= 0 && (!best || bits < fewest))
        best = step, fewest = bits;
  }
  const size_t keep = size_t(std::max<int64_t>(config.keep_last, 1));
  for (size_t i = 0; i + keep < all.size(); ++i) {
    const int64_t step = all[i].first;
    if (step != best && std::ranges::find(config.milestones, step) == config.milestones.end()) discard(all[i].second);
  }
}

}  // namespace kappa
