#pragma once
// A run's state between two steps, as a folder checkpoints/step_NNNNNN:
//
//     model.safetensors         parameters and buffers (model/weights.h)
//     optimizer-0.safetensors   the optimizer's state, by parameter
//     state.json                the step, where the loader stands, what the progress line remembers, and the CRC-32 of both files
//
// It is written under another name, synced and renamed, and loses its name before it is removed: a folder of this name is whole.

#include <filesystem>

#include "data/token_loader.h"
#include "model/gpt.h"
#include "train/config.h"
#include "train/optimizers/optimizer.h"

namespace kappa {

struct RunState {
  int64_t step = 0;  // steps done
  LoaderState loader;
  double smooth_loss = 0;     // the loss's running mean, before its bias is taken off
  double seconds = 0;         // spent training
  double bits_per_byte = -1;  // of the last validation; −1 before the first
};

/// Gives the folder's path.
std::filesystem::path save_checkpoint(const std::filesystem::path& checkpoints, const RunState& state, const Gpt& model,
                                      const Optimizer& optimizer);

/// Reads one back. Throws InputError naming the file and what does not fit the model, the optimizer or the folder's name, or is
/// not finite.
RunState load_checkpoint(const std::filesystem::path& checkpoint, Gpt& model, Optimizer& optimizer);

/// Bytes of a checkpoint's files, but for headers of a few hundred bytes a tensor. No memory is taken for the model.
int64_t checkpoint_bytes(const RunConfig& config, const OptimizerSettings& optimizer);

/// Throws InputError naming the folder, what is needed and what is free, unless the checkpoints that will be there at one time,
/// of a run of `steps` steps, fit on the disk. Those that are there count.
void check_disk(const std::filesystem::path& checkpoints, const CheckpointConfig& config, int64_t steps, int64_t bytes_each);

/// Removes what runs that were cut short have left of checkpoints that they were writing or removing.
void remove_unfinished_checkpoints(const std::filesystem::path& checkpoints);

/// Removes all but the newest keep_last, the milestones, and with keep_best the one with the fewest bits per byte.
void prune_checkpoints(const std::filesystem::path& checkpoints, const CheckpointConfig& config);

}  // namespace kappa
