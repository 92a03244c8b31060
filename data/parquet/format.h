#pragma once
// The names of Parquet's format (parquet.thrift of apache/parquet-format): numbers in files, words in messages.

#include <cstdint>
#include <string>

namespace kappa::parquet {

enum class Physical : int32_t { boolean, int32, int64, int96, float32, float64, byte_array, fixed_byte_array };
enum class Repetition : int32_t { required, optional, repeated };
enum class Codec : int32_t { none, snappy, gzip, lzo, brotli, lz4, zstd, lz4_raw };
enum class PageType : int32_t { data, index, dictionary, data_v2 };
enum class Encoding : int32_t {
  plain = 0,
  plain_dictionary = 2,
  rle = 3,
  bit_packed = 4,
  delta_binary_packed = 5,
  delta_length_byte_array = 6,
  delta_byte_array = 7,
  rle_dictionary = 8,
  byte_stream_split = 9
};

// As the format's description writes them; a number that has no name is given as such.
std::string to_string(Physical type);
std::string to_string(Repetition repetition);
std::string to_string(Codec codec);
std::string to_string(Encoding encoding);
/// What a converted_type or the field of a logical type means, or "".
std::string converted_type_name(int32_t converted);
std::string logical_type_name(int32_t logical);

}  // namespace kappa::parquet
