#pragma once
// How much memory a run needs, and whether there is so much.

#include <string>
#include <string_view>

#include "train/config.h"

namespace kappa {

/// Estimates of bytes, by what takes them.
struct MemoryPlan {
  double parameters = 0, gradients = 0, optimizer = 0;  // exact
  double activations = 0;  // what the ops keep of a micro-batch for the way back, and a layer's gradients
  double total() const { return parameters + gradients + optimizer + activations; }
};
/// Of a training.
MemoryPlan plan_memory(const RunConfig& config, const Storage& storage);
inline MemoryPlan plan_memory(const RunConfig& config) { return plan_memory(config, storage_of(config.train.precision)); }
/// Of an audit's one pass over so many tokens, with what is kept of it for the file. Of the quick start's model with 512 to 8192
/// tokens it has been 2 to 19 % below what was then used, in evaluation 35 to 55 % (2026-11-27, on the CPU).
MemoryPlan plan_audit_memory(const RunConfig& config, DType compute, int64_t tokens);

constexpr std::string_view smaller_training =
    "a smaller train.device_batch_size, model.sequence_len, model.train_capacity, model.min_capacity or model.total_ut_steps "
    "and model.activation_checkpointing";
constexpr std::string_view smaller_audit =
    "a smaller batch, model.total_ut_steps, model.train_capacity or model.min_capacity, and model.activation_checkpointing";

/// Throws InputError unless what is planned fits into `available` bytes; 0: nobody knows how many there are. Plans have been up
/// to an eighth above what was then used, so one is refused only where it is a quarter above what there is. `smaller` says for
/// the message what would need less.
void check_memory(const MemoryPlan& plan, int64_t available, std::string_view smaller);

/// "1.50 GiB", "12 MiB"
std::string bytes_text(double bytes);

}  // namespace kappa
