#include "engine/core/signals.h"

#include <array>
#include <csignal>

namespace kappa {

static volatile std::sig_atomic_t noted = 0;
static constexpr std::array handled{SIGINT, SIGTERM, SIGHUP, SIGUSR1};

static std::array<void (*)(int), handled.size()> before;  // what is done of them otherwise

static void note(int signal) {
  noted = 1;
  if (signal == SIGINT) std::signal(SIGINT, before[0]);
}

Signals::Signals() {
  noted = 0;
  for (size_t i = 0; i < handled.size(); ++i) {
    before[i] = std::signal(handled[i], note);
    if (before[i] == SIG_IGN) std::signal(handled[i], SIG_IGN);
  }
}
Signals::~Signals() {
  for (size_t i = 0; i < handled.size(); ++i) std::signal(handled[i], before[i]);
}
bool Signals::received() const { return noted != 0; }

}  // namespace kappa
