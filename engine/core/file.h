#pragma once
// Files: read whole, mapped, or written aside and renamed, so that a file under its final name is always complete.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/unfinished_file.h"

namespace kappa {

/// The bytes of a file, a pipe or a device; of a pipe without a writer none. Throws InputError naming the path if it cannot be
/// read or holds more than `limit` bytes.
std::string read_file(const std::filesystem::path& path, int64_t limit = int64_t{1} << 30);

/// A regular file seen as memory, read-only. It must not shrink while it is mapped.
class MappedFile {
 public:
  /// Throws InputError naming the path if it cannot be opened or is not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }
  /// Gives back the memory of bytes [begin, end), which will hardly be looked at again; they are there as before.
  void release(size_t begin, size_t end) const;

 private:
  std::span<const std::byte> bytes_;
};

/// A file that appears under its name with commit(), whole, or not at all: it is written beside it as `PATH.tmp`, synced and
/// renamed; a signal that ends the program takes that away (unfinished_file.h). A name that cannot be written to is an
/// InputError, a failing disk a RunError; both name the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  // without commit(), nothing is left
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  /// Appends.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Writes from byte `offset` on, in any order; what write() appends to stays where it was.
  void write_at(int64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_, aside_;  // aside_: nothing once it has become path_
  UnfinishedFile unfinished_;
  int file_ = -1;
  int64_t end_ = 0;
};

/// Writes all of a file, aside first.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Throws InputError naming `option`, which has asked for the file `out`, if that or the name it is written under first is one
/// of `inputs`, by whatever name, or is there already in one of them that is a folder. "-" is nobody's name.
void require_other_file(std::string_view option, const std::filesystem::path& out,
                        const std::vector<std::filesystem::path>& inputs);

/// Renames a file or a folder, and makes the new name last through a power cut. Throws RunError naming both paths.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace kappa
