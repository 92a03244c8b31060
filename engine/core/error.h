#pragma once
// Two kinds of failure. An InputError is the user's: one line that says what, where, expected, found; exit code 2.
// Anything else that is thrown is a failed run; exit code 1.

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace kappa {

/// The caller's input is wrong: a shape, a key, a file. The program prints the one line and leaves with exit code 2.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// There is not enough memory for what was asked for: a size of the caller's choice is too large.
struct OutOfMemory : InputError {
  using InputError::InputError;
};

/// A run that cannot go on: a value that is not finite, a full disk. The program prints the line and leaves with exit code 1.
struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws InputError with the formatted message unless `condition` holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw InputError(fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace kappa
