#pragma once
// What a signal that ends the program takes away first: files that are still written aside under a name of their own.

#include <filesystem>

namespace kappa {

/// A file that is to be gone if SIGINT, SIGTERM or SIGHUP end the program while this lives.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const std::filesystem::path& path);
  ~UnfinishedFile();
  UnfinishedFile(UnfinishedFile&& other) noexcept;
  UnfinishedFile& operator=(UnfinishedFile&&) = delete;

 private:
  int place_ = -1;  // in the list; −1: none was free, or it was moved from
};

/// From now on those signals remove the unfinished files before they end the program, unless the caller has had them ignored.
void remove_unfinished_files_on_signals();

}  // namespace kappa
