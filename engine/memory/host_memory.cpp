#include "engine/memory/host_memory.h"

#include <sys/resource.h>

#include <cstdlib>
#include <sstream>

#include "engine/core/system_files.h"

namespace kappa {

static int64_t number_in(const std::filesystem::path& file) { return std::strtol(system_file(file).c_str(), nullptr, 10); }

HostMemory host_memory() {
  const std::string text = system_file("/proc/meminfo");
  HostMemory memory{.total = parse_meminfo(text, "MemTotal"), .available = parse_meminfo(text, "MemAvailable")};
  for (const std::filesystem::path& group : control_groups()) {
    const int64_t most = number_in(group / "memory.max");  // 0 of "max" and of nothing
    if (most <= 0) continue;
    const int64_t used = number_in(group / "memory.current") - parse_file_pages(system_file(group / "memory.stat"));
    memory.total = tighter(memory.total, most);
    memory.available = tighter(memory.available, std::max<int64_t>(most - used, 1));
  }
  return memory;
}

int64_t resident_peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024;
}

int64_t parse_meminfo(std::string_view text, std::string_view name) {
  int64_t bytes = 0;
  each_field(text, [&](const std::string& key, const std::string& value) {
    if (key == name) bytes = std::strtol(value.c_str(), nullptr, 10) * 1024;
  });
  return bytes;
}

int64_t parse_file_pages(std::string_view text) {
  std::istringstream in{std::string(text)};
  int64_t bytes = 0, number = 0;
  for (std::string name; in >> name >> number;)
    if (name == "active_file" || name == "inactive_file") bytes += number;
  return bytes;
}

}  // namespace kappa
