#pragma once
// The benchmark: training steps on random tokens, and where their time and memory go. Needs no data.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/core/profile.h"
#include "train/config.h"

namespace kappa {

struct BenchOptions {
  int64_t steps = 10, warmup = 3;
};

/// What this machine can do (machine_speed.h).
struct MachinePeaks {
  double product;  // FLOP/s of a large float32 product
  double copy;     // bytes/s read and written by a large copy
};

/// One op in one phase; all numbers are of a step, on average.
struct BenchRow {
  std::string op;
  Phase phase;
  double calls, seconds;
  double share;          // of the step's time
  double product_share;  // of the threads' time in the op that went into matrix products
  double flops, bytes;   // of products; of the tensors read and written
  /// Where products take most of the time, it is held against the peak of products, else against that of copies.
  bool by_products() const { return product_share > 0.5; }
  int64_t held;  // bytes of activations, their gradients and scratch that were its own when the step held most
};

/// All matrix products of one shape in one phase, held against what the BLAS makes of that shape by itself.
struct BenchProduct {
  static constexpr double good = 0.85;  // of the library's speed

  ProductShape shape;
  Phase phase;
  double calls, seconds;  // of a step, on average
  double call;            // seconds of one, the median
  double library;         // seconds of one by the library, the median
  double share_of_library() const { return library / call; }
};

struct BenchReport {
  int64_t threads, steps, tokens;  // tokens a step
  MachinePeaks peaks;
  double forward_backward, step;  // seconds, the medians
  double mean_step;               // of which `share` is a share
  double flops, product_share;    // of forward and backward: in products, and the part of the threads' time in them
  double good_share = 0;          // of forward's and backward's time: in products at `good` of the library's speed or more
  std::vector<BenchProduct> products;
  std::vector<BenchRow> rows;  // the longest first; "other" is what no op took
  struct Memory {
    int64_t parameters, gradients, optimizer;  // bytes
    int64_t activations;                       // most that was in use; the rows' `held` together
    int64_t resident;                          // of the whole process, at its most
  } memory;
};

/// Trains a fresh model of `config` on random ids for warmup + steps steps and reports on the latter.
/// Throws InputError for a configuration that cannot be trained.
BenchReport bench(const RunConfig& config, const BenchOptions& options);

/// A table for people.
std::string to_text(const BenchReport& report);
/// The same for programs.
nlohmann::ordered_json to_json(const BenchReport& report);

}  // namespace kappa
