#include "engine/core/signals.h"

#include <csignal>

#include "tests/support/catch.h"

using namespace kappa;

TEST_CASE("signals: they are noted, but for those that the caller has had ignored") {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const Signals signals;
    std::raise(SIGHUP);
    CHECK_FALSE(signals.received());
    std::raise(SIGTERM);
    CHECK(signals.received());
  }
  CHECK(std::signal(SIGHUP, before) == SIG_IGN);
}
