#include "data/parquet/strings.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "data/parquet/bits.h"

namespace kappa::parquet {

size_t PlainStrings::decode(std::span<std::string_view> out) {
  for (std::string_view& text : out) {
    const uint32_t length = bits_at(take(rest_, 4, "length of a string"), 0, 32);
    text = take(rest_, length, "string");
  }
  return out.size();
}

DictionaryStrings::DictionaryStrings(std::string_view bytes, std::span<const std::string_view> dictionary)
    : dictionary_(dictionary) {
  const auto width = uint8_t(take(bytes, 1, "width of indices").front());
  indices_ = RunLengthDecoder(bytes, width, "indices");
}

size_t DictionaryStrings::decode(std::span<std::string_view> out) {
  std::array<uint32_t, decoded_at_once> indices;
  indices_.decode(std::span(indices).first(out.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    require(indices[i] < dictionary_.size(), "indices: expected one of the dictionary's {} strings, found {}", dictionary_.size(),
            indices[i]);
    out[i] = dictionary_[indices[i]];
  }
  return out.size();
}

size_t DeltaLengthStrings::decode(std::span<std::string_view> out) {
  std::array<uint32_t, decoded_at_once> lengths;
  lengths_.decode(std::span(lengths).first(out.size()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = take(rest_, lengths[i], "string");
  return out.size();
}

size_t DeltaStrings::decode(std::span<std::string_view> out) {
  if (used_ == known_) {
    used_ = 0;
    known_ = size_t(std::clamp<uint64_t>(prefixes_.left(), 1, decoded_at_once));
    prefixes_.decode(std::span(prefix_).first(known_));
    suffixes_.decode(std::span(suffix_).first(known_));
  }
  // Together the strings may be far longer than the page: as many as fit here, or one.
  constexpr size_t enough = size_t{4} << 20;
  size_t count = 0, total = 0, ending = 0;  // strings, their bytes, the bytes of `rest_` in them
  for (size_t before = last_.size(); count < std::min(out.size(), known_ - used_); ++count) {
    const size_t prefix = prefix_[used_ + count], suffix = suffix_[used_ + count];
    require(prefix <= before, "lengths of prefixes: expected at most the {} bytes of the string before, found {}", before,
            prefix);
    require(suffix <= rest_.size() - ending, "string: expected {} bytes, found {}", suffix, rest_.size() - ending);
    before = prefix + suffix;
    if (count > 0 && total + before > enough) break;
    total += before, ending += suffix;
  }
  char* at = texts_.reserve(std::max<size_t>(total, 1));  // a view of nothing would be a null
  std::string_view before = last_;
  for (size_t i = 0; i < count; ++i, ++used_) {
    const size_t prefix = prefix_[used_], suffix = suffix_[used_];
    if (prefix > 0) std::memcpy(at, before.data(), prefix);
    if (suffix > 0) std::memcpy(at + prefix, rest_.data(), suffix);
    rest_.remove_prefix(suffix);
    before = out[i] = std::string_view(at, prefix + suffix);
    at += before.size();
  }
  last_ = before;
  return count;
}

StringDecoder::StringDecoder(Encoding encoding, std::string_view bytes, const std::vector<std::string_view>* dictionary)
    : StringDecoder() {
  if (bytes.empty()) return;  // a page of nulls
  switch (encoding) {
    case Encoding::plain:
      strings_ = PlainStrings(bytes);
      break;
    case Encoding::plain_dictionary:
    case Encoding::rle_dictionary:
      require(dictionary != nullptr, "expected a dictionary before a page encoded as {}, found none", to_string(encoding));
      strings_ = DictionaryStrings(bytes, *dictionary);
      break;
    case Encoding::delta_length_byte_array:
      strings_ = DeltaLengthStrings(bytes);
      break;
    case Encoding::delta_byte_array:
      strings_ = DeltaStrings(bytes);
      break;
    default:
      throw InputError(fmt::format("encoding {}: expected one for strings", to_string(encoding)));
  }
}

}  // namespace kappa::parquet
