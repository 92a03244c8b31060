#include <cstdlib>

#include "data/json_lines.h"
#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "tests/fuzz/targets.h"

namespace kappa::test {
namespace {

class Memory : public ByteStream {
 public:
  explicit Memory(std::string_view bytes) : bytes_(bytes) {}
  size_t read(std::span<char> into) override {
    const size_t count = bytes_.copy(into.data(), std::min<size_t>(into.size(), 100));
    bytes_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view bytes_;
};

}  // namespace

/// The first byte chooses the compression, and whether what is damaged is left out. Documents are UTF-8, or there is one line of
/// complaint.
void fuzz_json_lines(const std::string& bytes) {
  if (bytes.empty()) return;
  std::unique_ptr<ByteStream> stream = std::make_unique<Memory>(std::string_view(bytes).substr(1));
  if (bytes[0] % 4 == 1) stream = gunzip(std::move(stream), "fuzz");
  if (bytes[0] % 4 == 2) stream = unzstd(std::move(stream), "fuzz");
  const bool skip_damaged = (bytes[0] & 4) != 0;
  try {
    JsonLines documents(std::move(stream), "fuzz", {.skip_damaged = skip_damaged});
    int64_t size = 0;  // a few bytes may decompress to gigabytes
    for (std::string text; size < 1'000'000 && documents.next(text); size += int64_t(text.size()))
      if (!is_utf8(text)) std::abort();
  } catch (const InputError& e) {
    const std::string message = e.what();
    if (skip_damaged || !message.starts_with("fuzz:") || message.find('\n') != std::string::npos || message.size() > 1000)
      std::abort();
  }
}

std::vector<std::string> json_lines_seeds() {
  return {" {\"text\": \"one\"}\n\n{\"id\": [1, {\"text\": 2}], \"text\": \"tw\\u00f6 \\ud83d\\ude00\"}\r\n",
          // The line {"text": "gzip"} and the line {"text": "zstd"}, each compressed as it says.
          std::string("\x01\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xab\x56\x2a\x49\xad\x28\x51\xb2\x52\x50\x4a\xaf\xca\x2c\x50"
                      "\xaa\xe5\x02\x00\x0b\x68\x10\x09\x11\x00\x00\x00",
                      38),
          "\4{\"text\": \"one\"}\nnot JSON\n{\"text\": 2}\n{\"text\": \"two\"}\n",
          std::string("\x02\x28\xb5\x2f\xfd\x04\x58\x89\x00\x00\x7b\x22\x74\x65\x78\x74\x22\x3a\x20\x22\x7a\x73\x74\x64\x22\x7d"
                      "\x0a\x5a\xe5\x9f\xb7",
                      31)};
}

}  // namespace kappa::test
