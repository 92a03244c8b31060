#include "engine/core/signals.h"

#include <array>

namespace kappa {

static volatile std::sig_atomic_t noted = 0;
static constexpr std::array handled{SIGINT, SIGTERM, SIGHUP, SIGUSR1};

static void note(int signal) {
  noted = 1;
  if (signal == SIGINT) std::signal(SIGINT, SIG_DFL);
}

Signals::Signals() {
  noted = 0;
  for (int signal : handled) std::signal(signal, note);
}
Signals::~Signals() {
  for (int signal : handled) std::signal(signal, SIG_DFL);
}
bool Signals::received() const { return noted != 0; }

}  // namespace kappa
