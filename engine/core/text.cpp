#include "engine/core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kappa {

std::string printable(std::string_view text) {
  constexpr size_t limit = 80;
  std::string line(text.substr(0, limit));
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.size() > limit ? line + "…" : line;
}

std::string printable(double number) { return std::isnan(number) ? "nan" : fmt::format("{}", number); }

}  // namespace kappa
