#include "train/bench.h"

#include <algorithm>
#include <numeric>

#include "engine/core/philox.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/host_memory.h"
#include "train/machine_speed.h"
#include "train/memory_plan.h"
#include "train/step.h"
#include "train/timing.h"

namespace kappa {
namespace {

/// Rows of random ids, each predicting the next.
Batch random_batch(const RunConfig& config, int64_t step) {
  const int64_t rows = config.train.device_batch_size, length = config.model.sequence_len;
  const Random random(uint64_t(config.train.seed), "bench ids", uint64_t(step));
  const auto id = [&](int64_t i) { return int32_t(random.uniform<double>(i) * double(config.model.vocab_size)); };
  Batch batch;
  batch.rows = rows, batch.length = length;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t t = 0; t < length; ++t) {
      batch.inputs.push_back(id(row * (length + 1) + t));
      batch.targets.push_back(id(row * (length + 1) + t + 1));
    }
  return batch;
}

/// What the BLAS takes for the shapes of a step by itself; measured after every step, since a machine is not equally fast at all
/// times.
class LibraryTimes {
 public:
  void measure(const Profile& profile) {
    const OpScope scope(op);
    for (const auto& [key, seconds] : profile.products()) seconds_[key.first].push_back(measure_library(key.first));
  }
  double of(const ProductShape& shape) const { return median(seconds_.at(shape)); }

  static constexpr std::string_view op = "measuring";  // under which the profile has it

 private:
  std::map<ProductShape, std::vector<double>> seconds_;
};

/// The rows of `profile`, and what is left of `total` seconds as one more.
std::vector<BenchRow> rows_of(const Profile& profile, double steps, double total) {
  std::vector<BenchRow> rows;
  double left = total;
  for (const auto& [key, row] : profile.rows()) {
    if (key.first == LibraryTimes::op) continue;
    left -= row.seconds;
    rows.push_back({.op = std::string(key.first),
                    .phase = key.second,
                    .calls = double(row.calls) / steps,
                    .seconds = row.seconds / steps,
                    .share = row.seconds / total,
                    .product_share = row.seconds > 0 ? row.product_seconds / (row.seconds * threads()) : 0,
                    .flops = row.flops / steps,
                    .bytes = row.bytes / steps,
                    .held = row.held_at_peak});
  }
  std::ranges::sort(rows, std::greater(), &BenchRow::seconds);
  rows.push_back({.op = "other", .phase = Phase::forward, .calls = 0, .seconds = left / steps, .share = left / total});
  return rows;
}

/// The products of `profile`, those that take most time first.
std::vector<BenchProduct> products_of(const Profile& profile, const LibraryTimes& library, double steps) {
  std::vector<BenchProduct> products;
  for (const auto& [key, seconds] : profile.products())
    products.push_back({.shape = key.first,
                        .phase = key.second,
                        .calls = double(seconds.size()) / steps,
                        .seconds = std::accumulate(seconds.begin(), seconds.end(), 0.0) / steps,
                        .call = median(seconds),
                        .library = library.of(key.first)});
  std::ranges::sort(products, std::greater(), &BenchProduct::seconds);
  return products;
}

}  // namespace

BenchReport bench(const RunConfig& config, const BenchOptions& options) {
  check_device(config);
  check_memory(plan_memory(config), host_memory().available, smaller_training);
  const BatchPlan batches = plan_sizes(config).batches;
  const Storage storage = storage_of(config.train.precision);
  Gpt model(config.model, storage.compute, storage.narrow);
  model.initialize(uint64_t(config.train.seed), config.train.router_init == RouterInit::zeros);
  Optimizer optimizer(model.store(), optimizer_settings(config, batches));
  TrainingStep step(config, batches, model, optimizer);

  Profile profile;
  std::vector<double> forward_backward, whole;
  LibraryTimes library;
  int64_t drawn = 0, resident = 0;
  for (int64_t t = 0; t < options.warmup + options.steps; ++t) {
    if (t == options.warmup) profile.restart(), forward_backward.clear(), whole.clear();
    forward_backward.push_back(seconds_of([&] { step.accumulate(t, [&] { return random_batch(config, drawn++); }); }));
    whole.push_back(forward_backward.back() + seconds_of([&] { step.update(t); }));
    if (t < options.warmup) continue;
    if (t == options.warmup) resident = resident_peak();  // before more is needed than a step does
    library.measure(profile);
  }

  BenchReport report{.threads = threads(), .steps = options.steps, .tokens = batches.batch_tokens};
  report.forward_backward = median(forward_backward);
  report.step = median(whole);
  const double total = std::accumulate(whole.begin(), whole.end(), 0.0), steps = double(options.steps);
  report.mean_step = total / steps;
  report.rows = rows_of(profile, steps, total);
  report.products = products_of(profile, library, steps);
  double product_seconds = 0;
  for (const auto& [key, row] : profile.rows())
    if (key.second != Phase::update && key.first != LibraryTimes::op)
      report.flops += row.flops / steps, product_seconds += row.product_seconds;
  const double passes = std::accumulate(forward_backward.begin(), forward_backward.end(), 0.0);
  report.product_share = product_seconds / (passes * double(threads()));
  report.memory = {.parameters = model.store().value_bytes(),
                   .gradients = model.store().gradient_bytes(),
                   .optimizer = optimizer.state_bytes(),
                   .activations = profile.peak(),
                   .resident = resident};
  report.peaks = {.product = measure_product_rate(), .copy = measure_copy_rate()};
  for (const BenchProduct& product : report.products)
    if (product.phase != Phase::update && product.share_of_library() >= BenchProduct::good)
      report.good_share += product.seconds * steps / passes;
  return report;
}

}  // namespace kappa
