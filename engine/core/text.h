#pragma once
// Text and numbers of unknown origin, made fit for one line of an error message.

#include <string>
#include <string_view>

namespace kappa {

/// `text` with control characters replaced by '?', and cut after 80 bytes.
std::string printable(std::string_view text);

/// A number; "nan" of every NaN, whose sign means nothing.
std::string printable(double number);

}  // namespace kappa
