#include "engine/core/unfinished_file.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace kappa {

// A handler may neither lock nor allocate: it finds the names in places that are always there. Whoever takes a name out of its
// place owns it.
static std::array<std::atomic<char*>, 64> names;
static_assert(std::atomic<char*>::is_always_lock_free);

static void remove_all(int signal) {
  for (auto& place : names)
    if (const char* const name = place.exchange(nullptr)) unlink(name);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

UnfinishedFile::UnfinishedFile(const std::filesystem::path& path) {
  char* const name = strdup(path.c_str());
  for (size_t i = 0; i < names.size() && place_ < 0; ++i)
    if (char* free_place = nullptr; names[i].compare_exchange_strong(free_place, name)) place_ = int(i);
  if (place_ < 0) std::free(name);
}

UnfinishedFile::~UnfinishedFile() {
  if (place_ >= 0) std::free(names[size_t(place_)].exchange(nullptr));
}

UnfinishedFile::UnfinishedFile(UnfinishedFile&& other) noexcept : place_(std::exchange(other.place_, -1)) {}

void remove_unfinished_files_on_signals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, remove_all) == SIG_IGN) std::signal(signal, SIG_IGN);
}

}  // namespace kappa
