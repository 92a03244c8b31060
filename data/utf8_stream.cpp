#include "data/utf8_stream.h"

#include <algorithm>
#include <utility>

namespace kappa {

size_t unfinished_utf8(std::string_view bytes) {
  for (size_t count = 1; count <= std::min<size_t>(3, bytes.size()); ++count) {
    const size_t at = bytes.size() - count;
    const auto first = uint8_t(bytes[at]);
    if (first >= 0x80 && first < 0xC0) continue;  // not the first byte of a character
    // A lead byte whose followers, as far as they are there, are right.
    const Utf8Char last = utf8_char(bytes, at);
    return first >= 0xC2 && first <= 0xF4 && !last.valid && size_t(last.length) == count ? count : 0;
  }
  return 0;
}

std::string Utf8Stream::add(std::string_view bytes) {
  waiting_ += bytes;
  const size_t whole = waiting_.size() - unfinished_utf8(waiting_);
  std::string text = repair_utf8(waiting_.substr(0, whole)).text;
  waiting_.erase(0, whole);
  return text;
}

std::string Utf8Stream::finish() { return repair_utf8(std::exchange(waiting_, {})).text; }

}  // namespace kappa
