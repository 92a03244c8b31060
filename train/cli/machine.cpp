#include "train/cli/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "engine/core/system_files.h"
#include "engine/memory/host_memory.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// A container's limit in threads: that of its group and of all groups around it; 0: none.
double cpu_limit() {
  double threads = 0;
  for (const fs::path& group : control_groups()) threads = tighter(threads, parse_cpu_limit(system_file(group / "cpu.max")));
  return threads;
}

/// A shared library, if the machine has it. It stays loaded: some do not like to go.
class Library {
 public:
  explicit Library(const char* name) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {}
  explicit operator bool() const { return handle_; }

  /// Calls `name` of it, which gives an int that is 0 where all went well; -1 if there is none of that name.
  template <class... Args>
  int call(const char* name, Args... args) const {
    const auto function = reinterpret_cast<int (*)(Args...)>(dlsym(handle_, name));
    return function ? function(args...) : -1;
  }

 private:
  void* handle_;
};

/// The program of this name on the PATH or in `elsewhere`.
std::optional<fs::path> find_program(const std::string& name, const std::string& elsewhere) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string(path ? path : "") + ":" + elsewhere);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const fs::path file = fs::path(folder) / name; !folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  return std::nullopt;
}

/// What nvcc says of itself: "Cuda compilation tools, release 13.0, V13.0.88".
std::string find_toolkit() {
  const char* home = std::getenv("CUDA_HOME");
  const auto nvcc = find_program("nvcc", std::string(home ? home : "/usr/local/cuda") + "/bin");
  if (!nvcc) return "";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(fmt::format("'{}' --version 2>/dev/null", nvcc->string()).c_str(), "r"),
                                                   pclose);
  std::string said;
  std::array<char, 256> line{};
  while (pipe && std::fgets(line.data(), int(line.size()), pipe.get())) said += line.data();
  const size_t at = said.find(", V");
  const std::string version =
      at == std::string::npos ? "unknown" : said.substr(at + 3, said.find_first_of(" \n", at + 3) - at - 3);
  return fmt::format("{} in {}", version, nvcc->parent_path().string());
}

/// NVIDIA's display and compute devices on the PCI bus.
int count_cards() {
  int cards = 0;
  std::error_code error;
  for (const auto& device : fs::directory_iterator("/sys/bus/pci/devices", error))
    cards +=
        system_file(device.path() / "vendor").starts_with("0x10de") && system_file(device.path() / "class").starts_with("0x03");
  return cards;
}

/// The driver's own library, by the interface that every one of its versions has had.
Cuda find_cuda() {
  Cuda cuda{.cards = count_cards(), .toolkit = find_toolkit()};
  const auto about =
      words_of(system_file("/proc/driver/nvidia/version"));  // "NVRM version: NVIDIA … Kernel Module  535.104.05  Sat …"
  if (const auto at = std::ranges::find_if(
          about, [](const std::string& word) { return std::isdigit(word[0]) && word.find('.') != std::string::npos; });
      at != about.end())
    cuda.driver = *at;
  const Library driver("libcuda.so.1");
  if (!driver) {
    cuda.error = "no NVIDIA driver";
    return cuda;
  }
  int version = 0, count = 0;
  if (driver.call("cuDriverGetVersion", &version) == 0)
    cuda.driver_supports = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  if (const int code = driver.call("cuInit", 0u); code != 0) {
    cuda.error = code == 100 ? "the driver finds no GPU" : fmt::format("the driver does not start (error {})", code);
    return cuda;
  }
  driver.call("cuDeviceGetCount", &count);
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    int device = 0;
    std::array<char, 256> name{};
    size_t memory = 0;
    Gpu gpu;
    constexpr int major = 75, minor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
    if (driver.call("cuDeviceGet", &device, ordinal) != 0 ||
        driver.call("cuDeviceGetName", name.data(), int(name.size()), device) != 0 ||
        driver.call("cuDeviceTotalMem_v2", &memory, device) != 0 ||
        driver.call("cuDeviceGetAttribute", &gpu.major, major, device) != 0 ||
        driver.call("cuDeviceGetAttribute", &gpu.minor, minor, device) != 0)
      continue;
    gpu.name = name.data(), gpu.memory = int64_t(memory);
    cuda.gpus.push_back(gpu);
  }
  if (cuda.gpus.empty()) cuda.error = "the driver finds no GPU";
  return cuda;
}

std::string find_nccl() {
  const Library nccl("libnccl.so.2");
  int version = 0;
  if (!nccl || nccl.call("ncclGetVersion", &version) != 0) return "";
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

/// Open MPI's library or MPICH's.
std::string find_mpi() {
  for (const char* name : {"libmpi.so.40", "libmpich.so.12", "libmpi.so.12"}) {
    const Library mpi(name);
    std::array<char, 8192> said{};  // MPI_MAX_LIBRARY_VERSION_STRING is not larger in any of them
    int length = 0;
    if (mpi && mpi.call("MPI_Get_library_version", said.data(), &length) == 0)
      return trimmed(std::string_view(said.data()).substr(0, std::string_view(said.data()).find_first_of(",\n")));
  }
  return "";
}

}  // namespace

Processor parse_cpuinfo(std::string_view text) {
  Processor processor;
  std::string socket;
  std::set<std::string> cores;
  int threads = 0;
  each_field(text, [&](const std::string& name, const std::string& value) {
    if (name == "processor") ++threads;
    if (name == "model name") processor.name = value;
    if (name == "physical id") socket = value;
    if (name == "core id") cores.insert(socket + " " + value);
    if ((name != "flags" && name != "Features") || !processor.wide.empty()) return;
    for (const std::string& word : words_of(value))
      for (const char* wide : {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve"})
        if (word == wide) processor.wide.push_back(word);
  });
  processor.cores = cores.empty() ? threads : int(cores.size());
  return processor;
}

double parse_cpu_limit(std::string_view text) {
  const auto words = words_of(text);
  const double period = words.size() == 2 ? std::atof(words[1].c_str()) : 0;
  return period > 0 ? std::atof(words[0].c_str()) / period : 0;
}

Machine this_machine() {
  Machine machine{.processor = parse_cpuinfo(system_file("/proc/cpuinfo"))};
  machine.processor.threads = int(std::thread::hardware_concurrency());
  machine.processor.limit = cpu_limit();
  const HostMemory memory = host_memory();
  machine.memory = memory.total, machine.memory_free = memory.available;
  std::error_code error;
  machine.folder = fs::current_path(error);
  if (const fs::space_info space = fs::space(machine.folder, error); !error) machine.disk_free = int64_t(space.available);
  machine.cuda = find_cuda();
  machine.nccl = find_nccl();
  machine.mpi = find_mpi();
  machine.has_bible = find_program("bible", "/usr/games").has_value();
  return machine;
}

}  // namespace kappa
