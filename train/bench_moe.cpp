#include "train/bench_moe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/autograd/tape.h"
#include "engine/core/philox.h"
#include "engine/core/text.h"
#include "engine/cuda/runtime.h"
#include "engine/device/gemm_plans.h"
#include "engine/device/grid_gemm.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/value_gate/channels.h"
#include "engine/tensor/dispatch.h"
#include "model/moe.h"
#include "train/timing.h"

namespace kappa {
namespace {

void wait_for(Device device) {
  if (device == Device::cuda) cuda::synchronize();
}

template <class Body>
double seconds_on(Device device, Body body) {
  wait_for(device);
  return seconds_of([&] { body(), wait_for(device); });
}

/// Numbers from the normal distribution.
Tensor random_tensor(Shape shape, DType dtype, Device device, std::string_view stream) {
  const Tensor x = Tensor::empty(shape, dtype);
  const Random random(1, stream, 0);
  dispatch("random", dtype, Device::cpu, [&]<class T>(T, CpuQueue) {
    parallel_ranges(x.size(), 65536, [&](Range r) {
      for (int64_t i = r.begin; i < r.end; ++i) x.data<T>()[i] = T(random.normal<float>(i));
    });
  });
  return moved(x, device);
}

/// A gradient for an output: `dy` itself.
void seed(const Tensor& y, const Tensor& dy) {
  dispatch("seed", y.dtype(), Device::cpu, [&]<class T>(T, CpuQueue) { contribute<T>(y); });
  const Gradient& g = *y.gradient();
  copy(dy, Tensor::over(g.memory, dy.shape(), g.dtype, g.device));
}

ModelConfig layer_config(const MoeBenchOptions& o, bool kappa) {
  ModelConfig c;
  c.n_layer = c.n_head = 1;
  c.n_embd = o.channels, c.n_exp = o.experts, c.moe_top_k = o.top_k;
  c.moe_start_layer = 0, c.train_capacity = o.capacity;
  c.use_kappa_swiglu = kappa, c.kappa_start_layer = 0;
  return resolved(c);
}

/// What a layer is given.
struct Inputs {
  Tensor x, dy;             // [1, N, C]
  Tensor dloss, slope_max;  // [1] wide

  explicit Inputs(const MoeBenchOptions& o) {
    const Shape shape{1, o.tokens, o.channels};
    x = random_tensor(shape, o.dtype, o.device, "bench x");
    dy = random_tensor(shape, o.dtype, o.device, "bench dy");
    const auto scalar = [&](double value) {
      const Tensor one = Tensor::empty({1}, wide(o.dtype));
      dispatch_wide("scalar", one, [&]<class W>(W, CpuQueue) { *one.data<W>() = W(value); });
      return moved(one, o.device);
    };
    dloss = scalar(1e-3);
    slope_max = scalar(layer_config(o, true).moe_kappa_slope_max_scale);
  }
};

/// The layer with random values in all of its parameters.
class Layer {
 public:
  Layer(const MoeBenchOptions& o, bool kappa)
      : config_(layer_config(o, kappa)), moe_(Scope(store_, "mlp"), config_, 0, global_), device_(o.device) {
    const double deviation = 1 / std::sqrt(double(o.channels));
    for (Parameter& p : store_.parameters()) p.spec.init = Init::normal(p.spec.role == Role::kappa ? 0.5 : deviation);
    store_.allocate(o.dtype, Narrow::none, o.device);
    store_.initialize(1);
  }

  struct Seconds {
    double forward, backward;
  };
  Seconds pass(const Inputs& in) {
    Tensor x = in.x.detach();
    x.track();
    Tape tape;
    Moe::Output out;
    Routing routing;
    const double forward = seconds_on(device_, [&] { out = moe_(x, in.slope_max, Pass{}, {0, 0}, routing); });
    seed(out.y, in.dy), seed(out.aux, in.dloss), seed(out.router_z, in.dloss);
    const double backward = seconds_on(device_, [&] { tape.run(); });
    return {forward, backward};
  }

 private:
  ModelConfig config_;
  ParameterStore store_;
  GlobalKappa global_;
  Moe moe_;
  Device device_;
};

struct Times {
  std::vector<double> forward, backward;
  void add(const Layer::Seconds& seconds) { forward.push_back(seconds.forward), backward.push_back(seconds.backward); }
};

/// What the device reaches in one large product of the layer's type and one large copy.
MachinePeaks peaks_of(const MoeBenchOptions& o) {
  // Large enough to reach them on the device, but for a layer that is itself too small to.
  const bool large = o.tokens * o.channels >= int64_t{1} << 18;
  const int64_t side = !large || o.device == Device::emulated ? 64 : o.device == Device::cuda ? 8192 : 1536;
  const int64_t bytes = int64_t{1} << (!large || o.device == Device::emulated ? 20 : o.device == Device::cuda ? 30 : 26);
  MachinePeaks peaks{};
  const auto best = [&](auto body) {
    double seconds = seconds_on(o.device, body);
    for (int i = 0; i < 9; ++i) seconds = std::min(seconds, seconds_on(o.device, body));
    return seconds;
  };
  dispatch("peak", o.dtype, o.device, [&]<class T>(T, auto queue) {
    const Tensor a = random_tensor({side, side}, o.dtype, o.device, "peak a"),
                 b = random_tensor({side, side}, o.dtype, o.device, "b");
    const Tensor c = Tensor::empty({side, side}, o.dtype, o.device);
    peaks.product = 2.0 * double(side * side * side) / best([&] {
                      gemm(queue, {.m = side, .n = side, .k = side}, a.data<T>(), b.data<T>(), GradOut<T>{c.data<T>()});
                    });
  });
  const Tensor from = Tensor::zeros({bytes / 4}, DType::f32, o.device), to = Tensor::zeros({bytes / 4}, DType::f32, o.device);
  peaks.copy = 2.0 * double(bytes) / best([&] {
                 if (o.device == Device::cuda) return copy(from, to);
                 parallel_ranges(bytes, int64_t{1} << 20, [&](Range r) {
                   std::memcpy(to.raw() + r.begin, from.raw() + r.begin, size_t(r.end - r.begin));
                 });
               });
  return peaks;
}

std::vector<MoeBenchRow> rows_of(Layer& layer, const Inputs& inputs, const MoeBenchOptions& o) {
  Profile profile;
  if (o.device == Device::cuda) profile.time_with({cuda::mark, cuda::seconds_between});
  for (int64_t i = 0; i < o.steps; ++i) layer.pass(inputs);
  profile.settle();
  cuda::forget_marks();
  std::vector<MoeBenchRow> rows;
  const auto n = double(o.steps);
  for (const auto& [key, row] : profile.rows())
    if (key.first != "seed")
      rows.push_back({std::string(key.first), key.second, double(row.calls) / n, row.seconds / n, row.flops / n, row.bytes / n});
  std::ranges::sort(rows, std::greater(), &MoeBenchRow::seconds);
  return rows;
}

/// How many tokens would fit, if what a token needs were all there is, and the parameters did not count.
[[noreturn]] void say_what_fits(const MoeBenchOptions& o, const OutOfMemory& error) {
  const double rows = double(o.top_k) * o.capacity, element = double(size_of(o.dtype));
  const double per_token = element * double(o.channels) * (rows * (6 * 4 + 4) + 6);  // g, u, h and gradients; slots; x, y, dy
  const int64_t capacity = step_slab(o.device).capacity();
  throw OutOfMemory(fmt::format("{}; here --tokens {} would fit", error.what(),
                                std::max<int64_t>(1, int64_t(0.9 * double(capacity) / per_token) / 64 * 64)));
}

}  // namespace

double MoeBenchRow::floor(const MachinePeaks& peaks) const { return std::max(flops / peaks.product, bytes / peaks.copy); }

double MoeBenchReport::floor() const {
  double sum = 0;
  for (const MoeBenchRow& row : rows) sum += row.floor(peaks);
  return sum;
}

/// In the words of the command line; resolved() would speak of keys.
static void check_sizes(const MoeBenchOptions& o) {
  require(std::isfinite(o.capacity), "--capacity: expected a finite number, found {}", printable(o.capacity));
  require(o.channels >= value_gate_channels && o.channels % 2 == 0,
          "--channels: expected an even number of at least {}, found {}", value_gate_channels, o.channels);
  require(o.top_k <= o.experts, "--top-k: expected at most {}, the number of --experts, found {}", o.experts, o.top_k);
  const double parameters = 12 * double(o.channels) * double(o.channels) * double(o.experts);
  require(parameters <= 0x1p39, "--channels, --experts: a layer of {:.3g} parameters, at most 2^39 are possible", parameters);
}

MoeBenchReport bench_moe(const MoeBenchOptions& o) {
  check_sizes(o);
  if (!o.plans.empty() && !keep_gemm_plans(o.device, o.plans))
    throw InputError(fmt::format("{}: expected the plans of this GPU and library, found another's", o.plans.string()));
  try {
    MoeBenchReport report{.options = o};
    report.device = o.device == Device::cuda  ? cuda::device_name()
                    : o.device == Device::cpu ? fmt::format("CPU, {} threads", threads())
                                              : "the host's model of a GPU";
    // All parameters first: on a GPU what is left then is for activations.
    Layer layer(o, true);
    std::optional<Layer> baseline;
    if (o.baseline) baseline.emplace(o, false);
    const Inputs inputs(o);
    Times times, baseline_times;
    for (int64_t i = -o.warmup; i < o.steps; ++i) {  // in turns, so that whatever drifts does so for both
      const auto seconds = layer.pass(inputs), other = baseline ? baseline->pass(inputs) : Layer::Seconds{};
      if (i >= 0) times.add(seconds), baseline_times.add(other);
    }
    report.forward = median(times.forward), report.backward = median(times.backward);
    if (baseline) report.baseline = median(baseline_times.forward) + median(baseline_times.backward);
    report.rows = rows_of(layer, inputs, o);
    report.peaks = peaks_of(o);
    return report;
  } catch (const OutOfMemory& error) {
    say_what_fits(o, error);
  }
}

std::string to_text(const MoeBenchReport& r) {
  const MoeBenchOptions& o = r.options;
  std::string text = fmt::format("one MoE layer on {}: {} tokens, {} channels, {} experts, top {}, capacity {}, {}\n\n", r.device,
                                 o.tokens, o.channels, o.experts, o.top_k, o.capacity, name_of(o.dtype));
  text += fmt::format("{:<24} {:<9}{:>6}{:>11}{:>12}{:>11}{:>11}{:>9}\n", "op", "", "calls", "ms", "TFLOP/s", "GB/s", "floor ms",
                      "of it");
  for (const MoeBenchRow& row : r.rows)
    text += fmt::format("{:<24} {:<9}{:>6.0f}{:>11.4f}{:>12.3f}{:>11.1f}{:>11.4f}{:>7.0f} %\n", row.op, name_of(row.phase),
                        row.calls, 1e3 * row.seconds, row.flops / row.seconds / 1e12, row.bytes / row.seconds / 1e9,
                        1e3 * row.floor(r.peaks), 100 * row.floor(r.peaks) / row.seconds);
  text += fmt::format("\npeaks here: products {:.2f} TFLOP/s, copies {:.1f} GB/s\n", r.peaks.product / 1e12, r.peaks.copy / 1e9);
  text += fmt::format("forward {:.3f} ms, backward {:.3f} ms, together {:.3f} ms; floor {:.3f} ms, {:.0f} % of it\n",
                      1e3 * r.forward, 1e3 * r.backward, 1e3 * r.total(), 1e3 * r.floor(), 100 * r.floor() / r.total());
  if (r.baseline)
    text += fmt::format("SwiGLU experts instead: {:.3f} ms; κ costs {:+.1f} %\n", 1e3 * *r.baseline,
                        100 * (r.total() / *r.baseline - 1));
  return text;
}

nlohmann::ordered_json to_json(const MoeBenchReport& r) {
  const MoeBenchOptions& o = r.options;
  nlohmann::ordered_json ops = nlohmann::ordered_json::array();
  for (const MoeBenchRow& row : r.rows)
    ops.push_back({{"op", row.op},
                   {"phase", name_of(row.phase)},
                   {"calls", row.calls},
                   {"ms", 1e3 * row.seconds},
                   {"flop", row.flops},
                   {"bytes", row.bytes},
                   {"floor_ms", 1e3 * row.floor(r.peaks)},
                   {"share_of_floor", row.floor(r.peaks) / row.seconds}});
  nlohmann::ordered_json json{{"device", r.device},
                              {"tokens", o.tokens},
                              {"channels", o.channels},
                              {"experts", o.experts},
                              {"top_k", o.top_k},
                              {"capacity", o.capacity},
                              {"dtype", name_of(o.dtype)},
                              {"steps", o.steps},
                              {"peaks", {{"tflop_per_second", r.peaks.product / 1e12}, {"gb_per_second", r.peaks.copy / 1e9}}},
                              {"forward_ms", 1e3 * r.forward},
                              {"backward_ms", 1e3 * r.backward},
                              {"ms", 1e3 * r.total()},
                              {"floor_ms", 1e3 * r.floor()},
                              {"ops", ops}};
  if (r.baseline) json["swiglu_ms"] = 1e3 * *r.baseline, json["price_of_kappa"] = r.total() / *r.baseline - 1;
  return json;
}

}  // namespace kappa
