#pragma once
// The safetensors format: tensors by name in one file.
//
//     uint64 n, little endian | n bytes of JSON | data
//
// The JSON is an object: name → {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, offsets counted from the start
// of the data, and perhaps "__metadata__" → {text: text}. The tensors cover the data without a gap and without an overlap.
//
// The reader maps the file and believes nothing: whatever does not hold is an InputError that names the file, the tensor, what
// was expected and what was found. Stricter than the format: at most 4 axes, and only the types below.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/core/file.h"

namespace kappa {

enum class StoredType : uint8_t { f64, f32, bf16, f16, i64, i32, u8, boolean };

int64_t size_of(StoredType type);
/// As the file spells it: "F64", "F32", "BF16", "F16", "I64", "I32", "U8", "BOOL".
const char* name_of(StoredType type);

struct StoredTensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<int64_t> shape;  // at most 4 axes; none for a scalar
  std::span<const std::byte> bytes = {};

  int64_t size() const;  // in elements
};

struct SafetensorsContents {
  std::deque<StoredTensor> tensors;  // in the order of their data; a deque: millions grow without being moved
  std::vector<uint32_t> by_name;     // which of them, in the order of their names
  std::map<std::string, std::string> metadata;
};

/// What the bytes of a file say, every claim checked. The tensors' bytes point into `file`; `path` is for the errors.
SafetensorsContents parse_safetensors(std::span<const std::byte> file, const std::string& path);

/// A file to read from, mapped.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  const std::deque<StoredTensor>& tensors() const { return contents_.tensors; }  // in the order of their data
  const std::map<std::string, std::string>& metadata() const { return contents_.metadata; }

  const StoredTensor* find(const std::string& name) const;
  /// Throws InputError if the file has no such tensor.
  const StoredTensor& at(const std::string& name) const;
  /// Throws InputError if the file has no such tensor or it has another shape.
  const StoredTensor& at(const std::string& name, std::span<const int64_t> shape) const;

  /// Copies all elements to `out`, which has room for exactly that many. Between floating-point types each value is rounded once,
  /// to nearest even; an I64 read as int32 must fit; bool must be 0 or 1. No other conversions: integers are not read as numbers
  /// with a fraction, nor the other way round. T: double, float, bfloat16 | int64_t, int32_t | uint8_t | bool.
  template <class T>
  void read(const StoredTensor& tensor, std::span<T> out) const;

 private:
  std::string path_;
  MappedFile file_;
  SafetensorsContents contents_;
};

/// Writes a file piece by piece, so that not all tensors need to be in memory at once.
///
/// The data lie in the order given, but elements of 8 bytes before those of 4, 2 and 1, so that every tensor is aligned.
class SafetensorsWriter {
 public:
  /// `tensors` say name, type and shape; their bytes are not looked at. Throws as AtomicFile does.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<StoredTensor>& tensors,
                    const std::map<std::string, std::string>& metadata = {});
  /// The bytes of tensor `index` as listed; once each, in any order.
  void write(size_t index, std::span<const std::byte> bytes);
  void commit();

 private:
  struct Place {
    int64_t begin, bytes;
    bool written = false;
  };
  AtomicFile file_;
  std::vector<Place> places_;
};

/// Writes all tensors with their bytes; the file appears whole or not at all.
void write_safetensors(const std::filesystem::path& path, const std::vector<StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace kappa
