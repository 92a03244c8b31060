#pragma once
// What a run shows while it works: on a terminal one line that is written over, elsewhere a line now and then.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace kappa {

/// "1h02m", "4m07s", "12s"
std::string short_time(double seconds);

class Progress {
 public:
  explicit Progress(int64_t total_steps);

  struct Status {
    int64_t step;  // steps done
    double loss, tokens_per_second, seconds_left, learning_rate_factor;
    std::optional<double> utilization;    // MFU: the part of the machine's product rate that the active parameters' FLOPs take
    std::optional<double> bits_per_byte;  // of the last validation
  };
  void update(const Status& status);
  /// A line that stays.
  void say(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  int64_t total_;
  bool terminal_;
  size_t shown_ = 0;  // characters of the line that is written over
  Clock::time_point last_;
};

}  // namespace kappa
