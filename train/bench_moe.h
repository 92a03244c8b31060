#pragma once
// The benchmark of one MoE layer, forward and backward, on any device: where its time goes, op by op, each beside its floor.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/profile.h"
#include "train/bench.h"

namespace kappa {

/// The paper's layer at depth 8, for one micro-batch of 32 rows.
struct MoeBenchOptions {
  int64_t tokens = 65536, channels = 768, experts = 64, top_k = 2;  // N, C, E, K; F = 4·C
  double capacity = 1;                                              // factor
  DType dtype = DType::bf16;
  Device device = Device::cpu;
  int64_t steps = 10, warmup = 3;
  bool baseline = false;             // measure the layer without κ too
  std::filesystem::path plans = {};  // a file for the GPU's choice of algorithms; empty: chosen anew
};

/// One op in one phase; numbers of a pass, on average.
struct MoeBenchRow {
  std::string op;
  Phase phase;
  double calls, seconds;
  double flops, bytes;  // of products; of the tensors read and written, each counted once a call
  /// What it would take at the device's own peaks: the longer of products and movements.
  double floor(const MachinePeaks& peaks) const;
};

struct MoeBenchReport {
  MoeBenchOptions options;
  std::string device;              // its name
  MachinePeaks peaks;              // measured there, in the layer's type
  double forward, backward;        // seconds, the medians; without the clock's reading in between
  std::vector<MoeBenchRow> rows;   // the longest first
  std::optional<double> baseline;  // forward and backward of SwiGLU experts
  double floor() const;            // of all rows
  double total() const { return forward + backward; }
};

/// Throws InputError for sizes that do not make a layer, OutOfMemory that names the number of tokens which would fit.
MoeBenchReport bench_moe(const MoeBenchOptions& options);

std::string to_text(const MoeBenchReport& report);
nlohmann::ordered_json to_json(const MoeBenchReport& report);

}  // namespace kappa
