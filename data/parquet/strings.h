#pragma once
// The values of a data page: strings in Parquet's encodings. All are decoded a few at a time, into views of the page where it
// holds a string in one piece; nothing is allocated for a number of values that a page only claims to have.

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/parquet/codec.h"
#include "data/parquet/delta.h"
#include "data/parquet/format.h"
#include "data/parquet/run_length.h"

namespace kappa::parquet {

/// How many strings are decoded at a time, at most.
inline constexpr size_t decoded_at_once = 1024;

/// PLAIN: the length in 4 bytes, the string.
class PlainStrings {
 public:
  explicit PlainStrings(std::string_view bytes) : rest_(bytes) {}
  size_t decode(std::span<std::string_view> out);
  size_t left_over() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

/// PLAIN_DICTIONARY, RLE_DICTIONARY: places in the dictionary, their width in bits before them.
class DictionaryStrings {
 public:
  DictionaryStrings(std::string_view bytes, std::span<const std::string_view> dictionary);
  size_t decode(std::span<std::string_view> out);
  size_t left_over() const { return 0; }  // the last run may be filled up

 private:
  RunLengthDecoder indices_;
  std::span<const std::string_view> dictionary_;
};

/// DELTA_LENGTH_BYTE_ARRAY: all lengths, then all strings.
class DeltaLengthStrings {
 public:
  explicit DeltaLengthStrings(std::string_view bytes) : lengths_(bytes, "lengths"), rest_(lengths_.behind()) {}
  size_t decode(std::span<std::string_view> out);
  size_t left_over() const { return rest_.size(); }

 private:
  DeltaDecoder lengths_;
  std::string_view rest_;
};

/// DELTA_BYTE_ARRAY: of every string, how many bytes it shares with the one before, and the others as DELTA_LENGTH_BYTE_ARRAY.
class DeltaStrings {
 public:
  explicit DeltaStrings(std::string_view bytes)
      : prefixes_(bytes, "lengths of prefixes"),
        suffixes_(prefixes_.behind(), "lengths of suffixes"),
        rest_(suffixes_.behind()) {}
  size_t decode(std::span<std::string_view> out);
  size_t left_over() const { return rest_.size(); }

 private:
  DeltaDecoder prefixes_, suffixes_;
  std::string_view rest_;
  std::array<uint32_t, decoded_at_once> prefix_, suffix_;  // the next lengths, decoded ahead
  size_t known_ = 0, used_ = 0;                            // how many of them there are, how many had their turn
  Buffer texts_;                                           // the strings of the last call, one after the other
  std::string last_;                                       // the last of them
};

class StringDecoder {
 public:
  StringDecoder() : strings_(PlainStrings("")) {}
  /// `bytes` and `dictionary`, null if there is none, must outlive it. Throws InputError if strings are not encoded like this, or
  /// lack a dictionary.
  StringDecoder(Encoding encoding, std::string_view bytes, const std::vector<std::string_view>* dictionary);

  /// Fills the front of `out`, which has 1 to decoded_at_once places, and says how many it filled; valid until the next call.
  /// Throws InputError if there are no more, or if they are not whole.
  size_t decode(std::span<std::string_view> out) {
    return std::visit([&](auto& strings) { return strings.decode(out); }, strings_);
  }
  /// The bytes that no string has taken.
  size_t left_over() const {
    return std::visit([](const auto& strings) { return strings.left_over(); }, strings_);
  }

 private:
  std::variant<PlainStrings, DictionaryStrings, DeltaLengthStrings, DeltaStrings> strings_;
};

}  // namespace kappa::parquet
