#include <cstdlib>

#include "engine/core/error.h"
#include "engine/tensor/safetensors.h"
#include "tests/fuzz/targets.h"

namespace kappa::test {

/// A file is refused in words, or its tensors cover its data in order, each as long as its shape says.
void fuzz_safetensors(const std::string& bytes) {
  try {
    const auto file = std::as_bytes(std::span(bytes));
    const std::byte* next = nullptr;
    for (const StoredTensor& t : parse_safetensors(file, "fuzz").tensors) {
      if (int64_t(t.bytes.size()) != t.size() * size_of(t.type)) std::abort();
      if (next != nullptr && t.bytes.data() != next) std::abort();
      next = t.bytes.data() + t.bytes.size();
      if (t.bytes.data() < file.data() || next > file.data() + file.size()) std::abort();
    }
    if (next != nullptr && next != file.data() + file.size()) std::abort();
  } catch (const InputError&) {
  }
}

std::vector<std::string> safetensors_seeds() {
  const auto file = [](const std::string& header, size_t data) {
    const char length[8] = {char(header.size() & 255), char(header.size() >> 8)};
    return std::string(length, 8) + header + std::string(data, 'x');
  };
  return {
      file("{}", 0), file(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  )", 24),
      file(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},)"
           R"("a":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},"c":{"dtype":"BOOL","shape":[0],"data_offsets":[10,10]}})",
           10)};
}

}  // namespace kappa::test
