#include "engine/core/system_files.h"

#include <sstream>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace kappa {

namespace fs = std::filesystem;

std::string system_file(const fs::path& path) {
  try {
    return read_file(path);
  } catch (const InputError&) {
    return "";
  }
}

std::string trimmed(std::string_view text) {
  constexpr const char* space = " \t\r\n";
  const size_t begin = text.find_first_not_of(space);
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin, text.find_last_not_of(space) - begin + 1));
}

void each_field(std::string_view text, const std::function<void(const std::string&, const std::string&)>& body) {
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);)
    if (const size_t colon = line.find(':'); colon != std::string::npos)
      body(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
}

std::vector<fs::path> control_groups() {
  fs::path group;
  each_field(system_file("/proc/self/cgroup"), [&](const std::string& number, const std::string& rest) {
    if (number == "0") group = rest.substr(std::min(rest.size(), rest.find('/') + 1));  // "0::/the/group": version 2
  });
  std::vector<fs::path> folders;
  for (;; group = group.parent_path()) {
    folders.push_back("/sys/fs/cgroup" / group);
    if (group.empty()) return folders;
  }
}

}  // namespace kappa
