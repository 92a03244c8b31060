#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/core/signals.h"
#include "engine/core/text.h"
#include "engine/core/within.h"
#include "engine/device/gemm_plans.h"
#include "engine/memory/host_memory.h"
#include "eval/bits_per_byte.h"
#include "model/checkpoint_folder.h"
#include "model/generator.h"
#include "train/checkpoint.h"
#include "train/machine_speed.h"
#include "train/memory_plan.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/run_folder.h"
#include "train/schedules.h"
#include "train/step.h"
#include "train/text_source.h"

namespace kappa {
namespace {

class Trainer {
 public:
  Trainer(const RunConfig& config, RunFolder& folder)
      : config_(config),
        sizes_(plan_sizes(config)),
        progress_(sizes_.batches.steps),
        folder_(folder),
        text_(open_text(config, folder, [&](const std::string& line) { progress_.say(line); })),
        loader_(text_.training_loader(config)),
        model_(config.model, storage_of(config.train.precision).compute, storage_of(config.train.precision).narrow),
        optimizer_(model_.store(), optimizer_settings(config, sizes_.batches)),
        step_(config, sizes_.batches, model_, optimizer_) {
    sample_prompt();  // refused now rather than after the run
  }

  void run() {
    const Signals signals;
    begin();
    while (state_.step < sizes_.batches.steps && !signals.received()) {
      take_step();
      if (due(config_.train.eval_every)) validate();
      if (due(config_.train.sample_every)) sample();
      if (due(config_.checkpoint.every) || is_milestone()) save();
    }
    if (state_.step == sizes_.batches.steps) {
      if (first_step_ < sizes_.batches.steps) validate(), save();  // not again of a run that was complete
      progress_.say(
          fmt::format("held out: {:.4f} bits per byte; the run is in {}", state_.bits_per_byte, folder_.path().string()));
      sample();
    } else {
      save();
      progress_.say(
          fmt::format("stopped after step {} of {}; the same command goes on from there", state_.step, sizes_.batches.steps));
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t samples = 3;

  bool due(int64_t every) const { return every > 0 && state_.step % every == 0 && state_.step < sizes_.batches.steps; }

  bool is_milestone() const {
    return state_.step < sizes_.batches.steps && std::ranges::count(config_.checkpoint.milestones, state_.step) > 0;
  }

  /// Takes up the newest checkpoint, or begins. Only when that is accepted is anything written in the folder.
  void begin() {
    const auto checkpoint = newest_checkpoint(folder_.checkpoints());
    if (checkpoint)
      resume(*checkpoint);
    else
      model_.initialize(uint64_t(config_.train.seed), config_.train.router_init == RouterInit::zeros);
    folder_.make(config_);
    remove_unfinished_checkpoints(folder_.checkpoints());
    text_.keep_tokenizer(folder_);
    folder_.cut_metrics(state_.step);
    if (!keep_gemm_plans(config_.device, folder_.gemm_plans()))
      progress_.say("warning: the plans of products are another GPU's or library's; the bits will differ from here on");
    if (checkpoint) progress_.say(fmt::format("going on from {}", checkpoint->string()));
    constexpr double mib = 1 << 20;
    progress_.say(fmt::format("{:.2f} M parameters; parameters {:.0f} MiB, gradients {:.0f} MiB, optimizer {:.0f} MiB",
                              double(model_.store().count()) / 1e6, double(model_.store().value_bytes()) / mib,
                              double(model_.store().gradient_bytes()) / mib, double(optimizer_.state_bytes()) / mib));
    const int64_t delay = kappa_delay(sizes_.batches.steps, config_.train.kappa_delay_start_min_iterations,
                                      config_.train.kappa_delay_start_iteration_frac);
    if (config_.model.use_kappa_swiglu && delay >= sizes_.batches.steps)
      progress_.say(
          fmt::format("warning: κ stays as it is in this run of {} steps: it learns from step {} on "
                      "(train.kappa_delay_start_min_iterations)",
                      sizes_.batches.steps, delay));
    first_step_ = state_.step;
  }

  void resume(const std::filesystem::path& checkpoint) {
    state_ = load_checkpoint(checkpoint, model_, optimizer_);
    saved_step_ = state_.step;
    require(state_.step <= sizes_.batches.steps, "{}: expected a step up to {}, the end of the run, found {}",
            checkpoint.string(), sizes_.batches.steps, state_.step);
    within((checkpoint / "state.json").string(), [&] { loader_.restore(state_.loader); });
  }

  /// One step, and what is seen of it on the way.
  void take_step() {
    const auto start = Clock::now();
    const int64_t t = state_.step;
    const bool logged = t % config_.train.log_interval == 0 || t + 1 == sizes_.batches.steps;
    RoutingStatistics routing(config_.model);
    nlohmann::ordered_json seen = nlohmann::ordered_json::object();
    Trace trace;
    if (logged && config_.train.log_grad_stats)
      trace = [&](Place place, const char* what, const Tensor& value) { routing.see(place, what, value); };
    const StepLosses losses = step_.accumulate(
        t, [&] { return next_batch(); }, trace);
    if (trace) {
      seen["train/grad_norm_step"] = model_.store().gradient_norm();
      routing.report(seen);
      report_parameters(model_.store(), config_.model.n_layer, seen);
    }
    step_.update(t);
    ++state_.step;
    const std::chrono::duration<double> seconds = Clock::now() - start;
    note(losses, seconds.count());
    if (logged) log(t, losses, seen);
    if (trace) warn(t, routing);
  }

  Batch next_batch() {
    const auto start = Clock::now();
    Batch batch = loader_.next();
    interval_.waiting_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    if (const ReadCounts counts = loader_.counts(); counts.left_out() > left_out_) {
      left_out_ = counts.left_out();
      progress_.say(fmt::format("warning: data: left out so far, as damaged: {}", described(counts)));
    }
    return batch;
  }

  void note(const StepLosses& losses, double seconds) {
    state_.seconds += seconds;
    run_seconds_ += seconds;
    interval_.interval_seconds += seconds;
    interval_.interval_steps += 1;
    state_.smooth_loss = follow_loss(state_.smooth_loss, losses.at("ntp_loss"));
    if (state_.step == first_step_ + 1)
      progress_.say(fmt::format("activations {:.0f} MiB", double(host_step_slab().peak()) / double(1 << 20)));
    const double pace = run_seconds_ / double(state_.step - first_step_);
    const double tokens_per_second = double(sizes_.batches.batch_tokens) / pace;
    progress_.update({.step = state_.step,
                      .loss = smooth_loss(),
                      .tokens_per_second = tokens_per_second,
                      .seconds_left = pace * double(sizes_.batches.steps - state_.step),
                      .learning_rate_factor = plan_step(config_, sizes_.batches, state_.step - 1).optimizer.lr_multiplier,
                      .utilization = sizes_.flops.active * tokens_per_second / product_rate_,
                      .bits_per_byte = state_.bits_per_byte < 0 ? std::nullopt : std::optional(state_.bits_per_byte)});
  }

  double smooth_loss() const { return debiased_loss(state_.smooth_loss, state_.step); }

  void log(int64_t t, const StepLosses& losses, const nlohmann::ordered_json& seen) {
    interval_.total_seconds = state_.seconds;
    nlohmann::ordered_json line = step_metrics(config_, sizes_, t, losses, smooth_loss(), interval_);
    line["mfu"] = 100 * sizes_.flops.active * line["tok_per_sec"].get<double>() / product_rate_;
    line.update(seen);
    folder_.log(line);
    interval_ = {};
  }

  /// Says what is wrong with the routing, once as long as it stays the same.
  void warn(int64_t t, const RoutingStatistics& routing) {
    const auto warning = routing.warning();
    const bool settled = t >= sizes_.batches.steps / 20;  // an untrained router prefers experts by chance
    if (warning && settled && !warned_) progress_.say(fmt::format("warning: step {}: {}", t, *warning));
    warned_ = warning && settled;
  }

  void validate() {
    const HeldOutLoss held_out = held_out_loss(model_, text_.validation_batches(config_), text_.token_bytes);
    if (!std::isfinite(held_out.token_loss))
      throw RunError(fmt::format("after step {}: val/loss is {}", state_.step, printable(held_out.token_loss)));
    state_.bits_per_byte = held_out.bits_per_byte;
    folder_.log({{"step", state_.step}, {"val/bpb", held_out.bits_per_byte}, {"val/loss", held_out.token_loss}});
  }

  void save() {
    if (saved_step_ == state_.step) return;  // a signal can come in a step that was saved anyway
    state_.loader = loader_.state();
    save_checkpoint(folder_.checkpoints(), state_, model_, optimizer_);
    saved_step_ = state_.step;
    prune_checkpoints(folder_.checkpoints(), config_.checkpoint);
  }

  std::vector<int32_t> sample_prompt() const {
    std::vector<int32_t> ids{text_.tokenizer->bos_id()};
    text_.tokenizer->encode(config_.train.sample_prompt, ids);
    const int64_t room = config_.model.longest_row() - int64_t(ids.size());
    require(
        config_.train.sample_tokens <= room,
        "train.sample_tokens: expected at most {}, ten times model.sequence_len less the tokens of train.sample_prompt, found {}",
        room, config_.train.sample_tokens);
    return ids;
  }

  /// A few continuations of the prompt, each until the model ends the document or train.sample_tokens are there.
  void sample() {
    Generator generator(model_, sample_prompt(),
                        {.sampling = {.temperature = 0.7},
                         .seed = uint64_t(config_.train.seed),
                         .vocabulary = text_.tokenizer->size(),
                         .samples = samples,
                         .max_tokens = config_.train.sample_tokens,
                         .stop = {text_.tokenizer->bos_id()}});
    std::vector<std::vector<int32_t>> added(samples);
    while (generator.next())
      for (size_t i = 0; i < samples; ++i)
        if (const int32_t id = generator.added()[i]; id != Generator::ended) added[i].push_back(id);
    for (size_t i = 0; i < samples; ++i)
      progress_.say(fmt::format("\nsample {} after step {}:\n{}{}", i + 1, state_.step, config_.train.sample_prompt,
                                text_.tokenizer->decode(added[i])));
  }

  const RunConfig& config_;
  RunSizes sizes_;
  Progress progress_;
  RunFolder& folder_;
  TextSource text_;
  PackedLoader loader_;
  Gpt model_;
  Optimizer optimizer_;
  TrainingStep step_;
  RunState state_;
  int64_t first_step_ = 0, saved_step_ = -1;
  double run_seconds_ = 0;
  MetricsClock interval_{};
  bool warned_ = false;
  int64_t left_out_ = 0;                                // of the data, as damaged
  const double product_rate_ = measure_product_rate();  // FLOP/s, what the use of the machine is held against
};

/// What refuses a run before any text is read. Throws InputError.
void check_run(const RunConfig& config, const RunFolder& folder) {
  check_device(config);
  require(config.train.core_metric_bundle.empty(),
          "train.core_metric_bundle: training does not evaluate CORE yet; expected nothing, found {}",
          config.train.core_metric_bundle);
  const BatchPlan batches = plan_batches(config);
  find_text(config);
  require(config.train.sample_tokens < config.model.longest_row(),
          "train.sample_tokens: expected less than ten times model.sequence_len, {}, found {}", config.model.longest_row(),
          config.train.sample_tokens);
  check_memory(plan_memory(config), host_memory().available, smaller_training);
  check_disk(folder.checkpoints(), config.checkpoint, batches.steps,
             checkpoint_bytes(config, optimizer_settings(config, batches)));
}

}  // namespace

std::optional<std::string> refusal(const RunConfig& config, const std::filesystem::path& run) {
  try {
    check_run(config, RunFolder(config, run));
    return std::nullopt;
  } catch (const InputError& error) {
    return error.what();
  }
}

void train(const RunConfig& config, const std::filesystem::path& run) {
  RunFolder folder(config, run);
  check_run(config, folder);
  Trainer(config, folder).run();
}

}  // namespace kappa
