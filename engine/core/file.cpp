#include "engine/core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

/// An open file, closed at the end of the scope.
struct Descriptor {
  int number;
  Descriptor(const fs::path& path, int flags) : number(open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

std::string reason() { return std::strerror(errno); }

/// A system call that says −1 when it fails; tried again when a signal came in between.
template <class Call>
auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

void run_require(bool condition, const fs::path& path, const char* what) {
  if (!condition) throw RunError(fmt::format("{}: cannot {}: {}", path.string(), what, reason()));
}

}  // namespace

std::string read_file(const fs::path& path, int64_t limit) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);  // else a pipe would be opened only when it has a writer
  require(file.number >= 0, "{}: cannot open: {}", path.string(), reason());
  fcntl(file.number, F_SETFL, O_RDONLY);
  std::string text;
  constexpr size_t chunk = size_t{1} << 16;
  for (;;) {
    const size_t before = text.size();
    text.resize(before + chunk);
    const ssize_t count = retried([&] { return read(file.number, text.data() + before, chunk); });
    require(count >= 0, "{}: cannot read: {}", path.string(), reason());
    text.resize(before + size_t(count));
    if (count == 0) return text;
    require(int64_t(text.size()) <= limit, "{}: expected at most {} bytes, found more", path.string(), limit);
  }
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);  // a pipe is to be refused, not waited for
  require(file.number >= 0, "{}: cannot open: {}", path.string(), reason());
  struct stat status {};
  require(fstat(file.number, &status) == 0, "{}: cannot read its size: {}", path.string(), reason());
  require(S_ISREG(status.st_mode), "{}: expected a regular file", path.string());
  const auto size = size_t(status.st_size);
  if (size == 0) return;  // an empty mapping is refused by the system
  void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  require(memory != MAP_FAILED, "{}: cannot map {} bytes: {}", path.string(), size, reason());
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::release(size_t begin, size_t end) const {
  const auto page = size_t(sysconf(_SC_PAGESIZE));
  begin = (begin + page - 1) / page * page, end = std::min(end, bytes_.size()) / page * page;
  if (begin < end) madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

static fs::path written_aside(fs::path path) { return path += ".tmp"; }

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), aside_(written_aside(path_)), unfinished_(aside_) {
  require(!path_.empty(), "expected a name for a file, found none");
  std::error_code ignored;
  const fs::file_status status = fs::status(path_, ignored);
  require(!fs::exists(status) || fs::is_regular_file(status), "{}: expected a name for a file, found a folder or a device",
          path_.string());
  file_ = open(aside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  require(file_ >= 0, "{}: cannot create: {}", aside_.string(), reason());
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) close(file_);
  if (!aside_.empty()) unlink(aside_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      aside_(std::exchange(other.aside_, {})),
      unfinished_(std::move(other.unfinished_)),
      file_(std::exchange(other.file_, -1)),
      end_(other.end_) {}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_at(end_, bytes);
  end_ += int64_t(bytes.size());
}

void AtomicFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retried([&] { return pwrite(file_, bytes.data(), bytes.size(), offset); });
    run_require(count > 0, aside_, "write");
    bytes = bytes.subspan(size_t(count));
    offset += count;
  }
}

void AtomicFile::commit() {
  run_require(retried([&] { return fsync(file_); }) == 0, aside_, "sync");
  run_require(close(std::exchange(file_, -1)) == 0, aside_, "close");
  rename_durably(aside_, path_);
  aside_.clear();
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void require_other_file(std::string_view option, const fs::path& out, const std::vector<fs::path>& inputs) {
  if (out == "-") return;
  std::error_code missing;  // of what is not there nothing is lost
  for (const fs::path& written : {out, written_aside(out)})
    for (const fs::path& input : inputs) {
      const bool within = fs::is_directory(input, missing) && fs::exists(written, missing) &&
                          fs::equivalent(written.has_parent_path() ? written.parent_path() : ".", input, missing);
      require(!within && !fs::equivalent(written, input, missing),
              "{} {}: expected another file than those that are read, found {}{}", option, out.string(),
              within ? "one of " + input.string() : "one of them",
              written == out ? "" : ", " + written.string() + ", which it is written to first");
    }
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    throw RunError(fmt::format("{}: cannot rename to {}: {}", from.string(), to.string(), reason()));
  const fs::path folder = to.has_parent_path() ? to.parent_path() : ".";
  const Descriptor opened(folder, O_RDONLY | O_DIRECTORY);
  run_require(opened.number >= 0, folder, "open");
  // Some network file systems cannot sync a folder and say EINVAL.
  run_require(retried([&] { return fsync(opened.number); }) == 0 || errno == EINVAL, folder, "sync");
}

}  // namespace kappa
