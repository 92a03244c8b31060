#include "data/output.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "engine/core/error.h"

namespace kappa {

Output::Output(const std::string& path) {
  if (path != "-") file_.emplace(path);
}

void Output::write(std::string_view text) {
  constexpr size_t enough = size_t{1} << 20;
  buffer_ += text;
  if (buffer_.size() >= enough) flush();
}

void Output::flush() {
  if (file_)
    file_->write(buffer_);
  else if (std::fwrite(buffer_.data(), 1, buffer_.size(), stdout) != buffer_.size())
    throw RunError("standard output: cannot be written to");
  buffer_.clear();
}

void Output::finish() {
  flush();
  if (file_)
    file_->commit();
  else if (std::fflush(stdout) != 0)
    throw RunError("standard output: cannot be written to");
}

bool wants_color(std::string_view choice) {
  const char* const never = std::getenv("NO_COLOR");
  return choice == "always" || (choice == "auto" && isatty(STDOUT_FILENO) != 0 && (never == nullptr || *never == 0));
}

std::string grouped(int64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0 && digits[i - 1] != '-') text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace kappa
