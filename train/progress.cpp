#include "train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "engine/memory/host_memory.h"

namespace kappa {

std::string short_time(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

Progress::Progress(int64_t total_steps) : total_(total_steps), terminal_(isatty(STDOUT_FILENO)) {}

void Progress::update(const Status& s) {
  const auto now = Clock::now();
  const std::chrono::duration<double> since = now - last_;
  if (since.count() < (terminal_ ? 0.2 : 10.0) && s.step != 1 && s.step != total_) return;
  last_ = now;
  std::string line =
      fmt::format("step {}/{} ({:.0f}%)  loss {:.4f}", s.step, total_, 100.0 * double(s.step) / double(total_), s.loss);
  if (s.bits_per_byte) line += fmt::format("  val {:.4f} bits/byte", *s.bits_per_byte);
  line += fmt::format("  lr {:.2f}×  {:.0f} tokens/s  MFU {}  ETA {}  {:.1f} GiB", s.learning_rate_factor, s.tokens_per_second,
                      s.utilization ? fmt::format("{:.0f}%", 100 * *s.utilization) : "n/a", short_time(s.seconds_left),
                      double(resident_peak()) / double(1 << 30));
  if (terminal_) {
    std::printf("\r%-*s", int(shown_), line.c_str());
    shown_ = line.size();
  } else {
    std::printf("%s\n", line.c_str());
  }
  std::fflush(stdout);
}

void Progress::say(const std::string& text) {
  if (shown_) std::printf("\r%*s\r", int(shown_), "");
  shown_ = 0;
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace kappa
