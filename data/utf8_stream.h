#pragma once
// UTF-8 in pieces that may end inside of a character, as those of tokens do.

#include "engine/core/utf8.h"

namespace kappa {

/// How many bytes at the end of `bytes`, at most 3, begin a character that the next bytes may complete.
size_t unfinished_utf8(std::string_view bytes);

class Utf8Stream {
 public:
  /// What can be said now: well-formed, with U+FFFD where the bytes are not. An unfinished character waits for the next piece.
  std::string add(std::string_view bytes);
  /// What is left: U+FFFD for a character that was never finished.
  std::string finish();

 private:
  std::string waiting_;
};

}  // namespace kappa
