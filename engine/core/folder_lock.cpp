#include "engine/core/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace kappa {

FolderLock::~FolderLock() {
  if (folder_ >= 0) close(folder_);
}

bool FolderLock::take(const std::filesystem::path& folder) {
  const int opened = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened >= 0 && flock(opened, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(opened);
    return false;
  }
  if (const int before = std::exchange(folder_, opened); before >= 0) close(before);
  return true;
}

}  // namespace kappa
