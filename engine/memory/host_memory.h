#pragma once
// How much memory the machine has.

#include <cstdint>
#include <string_view>

namespace kappa {

/// Bytes, a container's limits included; 0 of what the system does not say.
struct HostMemory {
  int64_t total = 0;
  int64_t available = 0;  // to whoever asks now, without that others are moved to the disk
};
HostMemory host_memory();
/// The most bytes that this process has had in memory.
int64_t resident_peak();

// What the above is read from, for the tests.

/// "MemAvailable:   1234 kB" of /proc/meminfo in bytes; 0 if it is not there.
int64_t parse_meminfo(std::string_view text, std::string_view name);
/// Bytes of a container's memory.stat that hold copies of files, which give way when somebody needs them.
int64_t parse_file_pages(std::string_view text);

}  // namespace kappa
