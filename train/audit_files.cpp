#include "train/audit_files.h"

#include <algorithm>
#include <cstring>

#include "model/weights.h"

namespace kappa {

void AuditOutput::add(const std::string& name, const Tensor& value) {
  Tensor copy = Tensor::empty(value.shape(), value.dtype() == DType::bf16 ? DType::f32 : value.dtype());
  if (value.dtype() == DType::bf16)
    std::copy_n(value.data<bfloat16>(), value.size(), copy.data<float>());
  else
    std::memcpy(copy.raw(), value.raw(), size_t(value.bytes()));
  entries_[name] = {copy, false};
}

void AuditOutput::add_scalar(const std::string& name, const Tensor& value) {
  add(name, value);
  entries_[name].scalar = true;
}

void AuditOutput::add(const Buffer& buffer, const std::string& prefix) {
  const std::string name = prefix + buffer.spec.name;
  if (buffer.spec.boolean)
    booleans_[name] = uint8_t(*buffer.value.data<int32_t>() != 0);
  else if (buffer.spec.scalar)
    add_scalar(name, buffer.value);
  else
    add(name, buffer.value);
}

void AuditOutput::write(const std::filesystem::path& path) const {
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : entries_) {
    tensors.push_back(stored(name, entry.value));
    if (entry.scalar) tensors.back().shape.clear();
  }
  for (const auto& [name, value] : booleans_)
    tensors.push_back({name, StoredType::boolean, {}, std::as_bytes(std::span(&value, 1))});
  write_safetensors(path, tensors);
}

Tensor read_ids(const SafetensorsFile& file, const StoredTensor& entry) {
  require(entry.type == StoredType::i32 || entry.type == StoredType::i64, "{}: {}: expected integers, found {}", file.path(),
          entry.name, name_of(entry.type));
  const Tensor ids = Tensor::empty(Shape(entry.shape), DType::i32);
  file.read(entry, std::span<int32_t>(ids.data<int32_t>(), size_t(ids.size())));
  return ids;
}

static void check_ids(const SafetensorsFile& file, const char* name, const Tensor& ids, int64_t lowest, int64_t vocabulary) {
  const int32_t* const id = ids.data<int32_t>();
  const int64_t length = ids.dim(-1);
  for (int64_t i = 0; i < ids.size(); ++i)
    require(id[i] >= lowest && id[i] < vocabulary, "{}: {}: expected ids from {} to {}, found {} at row {}, position {}",
            file.path(), name, lowest, vocabulary - 1, id[i], i / length, i % length);
}

GivenTokens read_tokens(const std::filesystem::path& path, int axes, int64_t vocabulary) {
  const SafetensorsFile file(path);
  const StoredTensor& inputs = file.at("inputs");
  require(int(inputs.shape.size()) == axes && inputs.size() > 0, "{}: inputs: expected {}, found {}", file.path(),
          axes == 2 ? "[rows, tokens]" : "[micro-batches, rows, tokens]", Shape(inputs.shape));
  const GivenTokens given{read_ids(file, inputs), read_ids(file, file.at("targets", inputs.shape))};
  check_ids(file, "inputs", given.inputs, 0, vocabulary);
  check_ids(file, "targets", given.targets, -1, vocabulary);
  return given;
}

}  // namespace kappa
