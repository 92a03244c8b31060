#include "data/parquet/format.h"

#include <fmt/format.h>

#include <span>

namespace kappa::parquet {

static std::string name(std::span<const char* const> names, int32_t number) {
  const bool known = number >= 0 && size_t(number) < names.size() && names[size_t(number)] != nullptr;
  return known ? names[size_t(number)] : fmt::format("{}", number);
}

std::string to_string(Physical type) {
  static constexpr const char* names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                          "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
  return name(names, int32_t(type));
}

std::string to_string(Repetition repetition) {
  static constexpr const char* names[] = {"required", "optional", "repeated"};
  return name(names, int32_t(repetition));
}

std::string to_string(Codec codec) {
  static constexpr const char* names[] = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"};
  return name(names, int32_t(codec));
}

std::string to_string(Encoding encoding) {
  static constexpr const char* names[] = {"PLAIN",
                                          nullptr,
                                          "PLAIN_DICTIONARY",
                                          "RLE",
                                          "BIT_PACKED",
                                          "DELTA_BINARY_PACKED",
                                          "DELTA_LENGTH_BYTE_ARRAY",
                                          "DELTA_BYTE_ARRAY",
                                          "RLE_DICTIONARY",
                                          "BYTE_STREAM_SPLIT"};
  return name(names, int32_t(encoding));
}

std::string converted_type_name(int32_t converted) {
  static constexpr const char* names[] = {
      "UTF8",   "MAP",     "MAP_KEY_VALUE", "LIST",    "ENUM",  "DECIMAL", "DATE",   "TIME",   "TIME", "TIMESTAMP", "TIMESTAMP",
      "UINT_8", "UINT_16", "UINT_32",       "UINT_64", "INT_8", "INT_16",  "INT_32", "INT_64", "JSON", "BSON",      "INTERVAL"};
  return converted < 0 ? "" : name(names, converted);
}

std::string logical_type_name(int32_t logical) {
  static constexpr const char* names[] = {"",     "STRING",    "MAP",      "LIST",     "ENUM",     "DECIMAL", "DATE",
                                          "TIME", "TIMESTAMP", "INTERVAL", "INTEGER",  "NULL",     "JSON",    "BSON",
                                          "UUID", "FLOAT16",   "VARIANT",  "GEOMETRY", "GEOGRAPHY"};
  return logical < 0 ? "" : name(names, logical);
}

}  // namespace kappa::parquet
