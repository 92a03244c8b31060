#pragma once
// Text and numbers of unknown origin, made fit for people's eyes and terminals.

#include <string>
#include <string_view>

namespace kappa {

/// `text` with '?' for control characters and U+FFFD for what is not UTF-8, cut after 80 bytes.
std::string printable(std::string_view text);

/// The same of a text of any length, in which line feeds and tabs stay what they are.
std::string for_terminal(std::string_view text);

/// A text of any length as one line that hides nothing: control characters and what is not UTF-8 as \n, \t, \x1B.
std::string one_line(std::string_view text);

/// A number; "nan" of every NaN, whose sign means nothing.
std::string printable(double number);

}  // namespace kappa
