#pragma once

namespace kappa {

/// While one lives, SIGINT, SIGTERM, SIGHUP and SIGUSR1 are noted instead of ending the program; a second SIGINT ends it. Those
/// that the caller has had ignored (nohup) stay ignored.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  bool received() const;
};

}  // namespace kappa
