#pragma once
// Bytes from first to last, read a piece at a time, as they were before compression.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace kappa {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills the front of `into`, which has room, and says how many bytes came; 0 at the end. Throws InputError.
  virtual size_t read(std::span<char> into) = 0;
};

/// The bytes of a file; of a name that ends with .gz or .zst, decompressed. Throws InputError naming the path if it cannot be
/// opened; reading throws it too, also where compressed bytes are damaged or end too early.
std::unique_ptr<ByteStream> open_bytes(const std::filesystem::path& path);

/// The bytes of a file as they are, whatever its name. Throws InputError naming the path if it cannot be opened.
std::unique_ptr<ByteStream> open_raw_bytes(const std::filesystem::path& path);

/// What `packed` decompresses to: one or several gzip (zlib) or Zstandard streams, one after the other. `name` begins errors.
std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> packed, std::string name);
std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> packed, std::string name);

/// A stream cut at its line feeds.
class Lines {
 public:
  Lines(std::unique_ptr<ByteStream> bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}

  /// The next line, without its line feed; false at the end. Valid until the next call. Throws InputError naming file and line if
  /// it has more than `longest_line` bytes.
  bool next(std::string_view& line);
  /// Of the line that came last, from 1.
  int64_t number() const { return number_; }
  const std::string& name() const { return name_; }

  static constexpr size_t longest_line = size_t{64} << 20;

 private:
  std::unique_ptr<ByteStream> bytes_;
  std::string name_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // what was read and not yet handed out
  int64_t number_ = 0;
  bool ended_ = false;
};

}  // namespace kappa
