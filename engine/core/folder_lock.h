#pragma once
// One process at a time in a folder.

#include <filesystem>

namespace kappa {

/// The system ends it with the process, however that ends: nothing is left behind that would have to be removed.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Takes the lock of a folder that is there; false if somebody else has it. Where a file system has no locks, nobody is kept
  /// out.
  bool take(const std::filesystem::path& folder);
  bool taken() const { return folder_ >= 0; }

 private:
  int folder_ = -1;
};

}  // namespace kappa
