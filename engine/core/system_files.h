#pragma once
// What Linux says of itself in files.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

/// A file of the system; "" if it is not there.
std::string system_file(const std::filesystem::path& path);

/// Without the blanks around it.
std::string trimmed(std::string_view text);

/// Calls body(name, value) for the lines "name : value".
void each_field(std::string_view text, const std::function<void(const std::string&, const std::string&)>& body);

/// The folders of the control groups (version 2) that this process is in, the innermost first: each may have limits.
std::vector<std::filesystem::path> control_groups();

/// The smaller of two limits, of which 0 is none.
template <class T>
T tighter(T a, T b) {
  return a <= 0 ? b : b <= 0 ? a : std::min(a, b);
}

}  // namespace kappa
