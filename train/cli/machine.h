#pragma once
// What this machine has. Read from the system when asked; what cannot be found out is empty or 0.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kappa {

struct Processor {
  std::string name;
  int cores = 0;                  // physical, on all sockets
  int threads = 0;                // hardware threads that this process may use
  double limit = 0;               // of a container, in threads; 0: none
  std::vector<std::string> wide;  // avx2, avx512f, …, asimd: what it has of the instructions that matter here
};

struct Gpu {
  std::string name;
  int64_t memory = 0;        // bytes
  int major = 0, minor = 0;  // compute capability
};

struct Cuda {
  int cards = 0;                // NVIDIA's on the PCI bus, whether a driver knows them or not
  std::string toolkit;          // "13.0.88 in /usr/local/cuda/bin"
  std::string driver;           // "535.104.05"
  std::string driver_supports;  // "12.2", the newest CUDA that the driver runs
  std::vector<Gpu> gpus;        // that the driver offers
  std::string error;            // why there are none
};

struct Machine {
  Processor processor;
  int64_t memory = 0, memory_free = 0;  // bytes, a container's limit included
  std::filesystem::path folder;         // where one stands
  int64_t disk_free = 0;                // bytes, there
  Cuda cuda;
  std::string nccl, mpi;   // versions of the libraries
  bool has_bible = false;  // the program that holds the quick start's text
};
Machine this_machine();

// What the above is read from, for the tests.

/// /proc/cpuinfo, of x86 or ARM: name, cores and instructions.
Processor parse_cpuinfo(std::string_view text);
/// "max 100000" or "150000 100000" of a container's cpu.max as threads; 0: no limit.
double parse_cpu_limit(std::string_view text);

}  // namespace kappa
