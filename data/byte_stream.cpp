#include "data/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "engine/core/error.h"

namespace kappa {
namespace {

namespace fs = std::filesystem;

class FileBytes : public ByteStream {
 public:
  explicit FileBytes(const fs::path& path) : name_(path.string()), file_(std::fopen(path.c_str(), "rb"), &std::fclose) {
    require(file_ != nullptr, "{}: cannot open: {}", name_, std::strerror(errno));
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);  // whoever reads has a buffer
  }

  size_t read(std::span<char> into) override {
    const size_t count = std::fread(into.data(), 1, into.size(), file_.get());
    require(count > 0 || std::ferror(file_.get()) == 0, "{}: cannot read: {}", name_, std::strerror(errno));
    return count;
  }

 private:
  std::string name_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// What both kinds of compression share: the packed bytes that are at hand, and that they must not end within a stream.
class Unpacker : public ByteStream {
 public:
  Unpacker(std::unique_ptr<ByteStream> packed, std::string name) : name_(std::move(name)), packed_(std::move(packed)) {}

  size_t read(std::span<char> into) override {
    for (;;) {
      if (rest_.empty()) rest_ = std::span(bytes_).first(packed_->read(bytes_));
      const bool at_end = rest_.empty();
      if (at_end && !within_) return 0;
      const size_t count = unpack(into);
      if (count > 0) return count;
      require(!at_end, "{}: expected more compressed bytes, found the end of the file", name_);
    }
  }

 protected:
  /// Takes bytes off the front of rest_, says how many it put into `into`, and sets within_.
  virtual size_t unpack(std::span<char> into) = 0;

  std::string name_;
  std::span<char> rest_;
  bool within_ = false;  // a stream has begun and not ended

 private:
  std::unique_ptr<ByteStream> packed_;
  std::array<char, size_t{1} << 16> bytes_;
};

class Gunzip : public Unpacker {
 public:
  Gunzip(std::unique_ptr<ByteStream> packed, std::string name) : Unpacker(std::move(packed), std::move(name)) {
    constexpr int gzip_or_zlib = 15 + 32;
    if (inflateInit2(&z_, gzip_or_zlib) != Z_OK) throw RunError(fmt::format("{}: cannot begin to decompress", name_));
  }
  ~Gunzip() override { inflateEnd(&z_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

 protected:
  size_t unpack(std::span<char> into) override {
    if (!within_) {
      // What fills up a tape's last block.
      while (begun_ && !rest_.empty() && rest_.front() == 0) rest_ = rest_.subspan(1);
      if (rest_.empty()) return 0;
      inflateReset(&z_);
    }
    begun_ = true;
    within_ = true;
    z_.next_in = reinterpret_cast<Bytef*>(rest_.data());
    z_.avail_in = uInt(rest_.size());
    z_.next_out = reinterpret_cast<Bytef*>(into.data());
    z_.avail_out = uInt(into.size());
    const int result = inflate(&z_, Z_NO_FLUSH);
    require(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR, "{}: expected gzip, found damaged bytes: {}",
            name_, z_.msg != nullptr ? z_.msg : "no stream");
    rest_ = rest_.last(z_.avail_in);
    within_ = result != Z_STREAM_END;
    return into.size() - z_.avail_out;
  }

 private:
  z_stream z_{};
  bool begun_ = false;  // at least one stream has
};

class Unzstd : public Unpacker {
 public:
  Unzstd(std::unique_ptr<ByteStream> packed, std::string name)
      : Unpacker(std::move(packed), std::move(name)), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (context_ == nullptr) throw RunError(fmt::format("{}: cannot begin to decompress", name_));
  }

 protected:
  size_t unpack(std::span<char> into) override {
    ZSTD_inBuffer in{rest_.data(), rest_.size(), 0};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    const size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
    require(!ZSTD_isError(result), "{}: expected Zstandard, found damaged bytes: {}", name_, ZSTD_getErrorName(result));
    rest_ = rest_.subspan(in.pos);
    within_ = result != 0;
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
};

}  // namespace

std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<Gunzip>(std::move(packed), std::move(name));
}

std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<Unzstd>(std::move(packed), std::move(name));
}

std::unique_ptr<ByteStream> open_raw_bytes(const fs::path& path) { return std::make_unique<FileBytes>(path); }

std::unique_ptr<ByteStream> open_bytes(const fs::path& path) {
  auto bytes = open_raw_bytes(path);
  if (path.extension() == ".gz") return gunzip(std::move(bytes), path.string());
  if (path.extension() == ".zst") return unzstd(std::move(bytes), path.string());
  return bytes;
}

bool Lines::next(std::string_view& line) {
  constexpr size_t step = size_t{1} << 16;
  for (size_t searched = 0;;) {
    const auto* const at =
        static_cast<const char*>(std::memchr(buffer_.data() + begin_ + searched, '\n', end_ - begin_ - searched));
    if (at != nullptr || (ended_ && begin_ < end_)) {
      const size_t length = at != nullptr ? size_t(at - buffer_.data()) - begin_ : end_ - begin_;
      line = std::string_view(buffer_).substr(begin_, length);
      begin_ += length + (at != nullptr ? 1 : 0);
      ++number_;
      return true;
    }
    if (ended_) return false;
    searched = end_ - begin_;
    require(searched <= longest_line, "{}:{}: expected a line of at most {} bytes, found a longer one", name_, number_ + 1,
            longest_line);
    if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, searched);
    begin_ = 0, end_ = searched;
    if (buffer_.size() < end_ + step) buffer_.resize(std::max(end_ + step, 2 * buffer_.size()));
    const size_t count = bytes_->read(std::span(buffer_).subspan(end_));
    ended_ = count == 0;
    end_ += count;
  }
}

}  // namespace kappa
