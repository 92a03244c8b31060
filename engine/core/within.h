#pragma once
// Complaints about something whose place only the caller knows.

#include <string_view>

#include "engine/core/error.h"

namespace kappa {

/// What `body` gives. What it complains about begins with `place`: the key that named a file, the file that held a state.
template <class Body>
auto within(std::string_view place, Body body) {
  try {
    return body();
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", place, error.what()));
  }
}

}  // namespace kappa
