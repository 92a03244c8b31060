#pragma once
// Where a command writes what it was asked for: a file, which appears when it is whole, or standard output.

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "engine/core/file.h"

namespace kappa {

class Output {
 public:
  /// `path` may be "-" for standard output. Throws InputError if the file cannot be created.
  explicit Output(const std::string& path);

  void write(std::string_view text);
  /// Must be called at the end. Throws RunError if not everything could be written.
  void finish();

 private:
  void flush();

  std::optional<AtomicFile> file_;
  std::string buffer_;
};

template <class... Args>
void line(Output& out, fmt::format_string<Args...> format, Args&&... args) {
  out.write(fmt::format(format, std::forward<Args>(args)...) + "\n");
}

/// Whether what is shown has colours, as --color was given: "always", "never", or "auto", on a terminal unless NO_COLOR is set
/// (https://no-color.org).
bool wants_color(std::string_view choice);

/// 1234567 as 1,234,567.
std::string grouped(int64_t number);

}  // namespace kappa
