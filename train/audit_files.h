#pragma once
// What audits read and write: token ids, and named values (docs/audit.md).

#include <filesystem>
#include <map>
#include <string>

#include "engine/nn/parameter.h"
#include "engine/tensor/safetensors.h"

namespace kappa {

/// Named values on their way into a file.
class AuditOutput {
 public:
  /// Copies `value`; bfloat16 becomes float32.
  void add(const std::string& name, const Tensor& value);
  /// The same of one element, written without axes.
  void add_scalar(const std::string& name, const Tensor& value);
  /// A buffer as checkpoints hold it, under `prefix` and its name.
  void add(const Buffer& buffer, const std::string& prefix);

  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    Tensor value;
    bool scalar = false;
  };
  std::map<std::string, Entry> entries_;
  std::map<std::string, uint8_t> booleans_;
};

/// An entry of integers as int32. Throws InputError if it holds something else.
Tensor read_ids(const SafetensorsFile& file, const StoredTensor& entry);

/// `inputs` in [0, vocabulary) and `targets` in [−1, vocabulary), of one shape with `axes` axes.
struct GivenTokens {
  Tensor inputs, targets;  // int32
};
/// Throws InputError naming the file, the tensor and the place of an id out of range.
GivenTokens read_tokens(const std::filesystem::path& path, int axes, int64_t vocabulary);

}  // namespace kappa
