#include "model/weights.h"

#include <algorithm>
#include <set>

#include "engine/core/text.h"
#include "engine/tensor/dispatch.h"
#include "engine/tensor/finite.h"

namespace kappa {
namespace {

/// A file may write a buffer of one element as a scalar.
bool same_shape(const StoredTensor& entry, const Shape& shape) {
  return std::ranges::equal(entry.shape, shape.extents()) || (entry.shape.empty() && shape.size() == 1);
}

void read_boolean(const SafetensorsFile& file, const StoredTensor& entry, const Tensor& to) {
  bool value = false;
  require(entry.size() == 1 && to.size() == 1, "{}: {}: expected one boolean, found {}", file.path(), entry.name, entry.size());
  file.read(entry, std::span<bool>(&value, 1));
  *to.data<int32_t>() = value;
}

/// What a checkpoint may hold although this configuration has no use for it.
bool is_unused_state(const std::string& name) { return name.find("_ema_rms_reg_keeper.") != std::string::npos; }

}  // namespace

void read_values(const SafetensorsFile& file, const StoredTensor& entry, const Tensor& to) {
  dispatch("read_values", to.dtype(), to.device(),
           [&]<class T>(T, CpuQueue) { file.read(entry, std::span<T>(to.data<T>(), size_t(to.size()))); });
  if (const auto found = first_not_finite(to))
    throw InputError(fmt::format("{}: {}: expected finite numbers, found {} at {}", file.path(), entry.name,
                                 printable(found->value), found->place));
}

void check_weights(const ParameterStore& store, const SafetensorsFile& file) {
  std::set<std::string_view> known;
  for (const Parameter& p : store.parameters()) {
    known.insert(p.spec.name);
    file.at(p.spec.name, p.spec.shape.extents());
  }
  for (const Buffer& b : store.buffers()) {
    if (!b.spec.saved) continue;
    known.insert(b.spec.name);
    const StoredTensor* const entry = file.find(b.spec.name);
    if (entry && !same_shape(*entry, b.spec.shape)) file.at(entry->name, b.spec.shape.extents());  // throws, saying how
  }
  for (const StoredTensor& entry : file.tensors())
    require(known.contains(entry.name) || is_unused_state(entry.name), "{}: {}: the configured model has no such tensor",
            file.path(), printable(entry.name));
}

void load_weights(ParameterStore& store, const SafetensorsFile& file) {
  check_weights(store, file);
  for (const Parameter& p : store.parameters()) read_values(file, file.at(p.spec.name), p.master);
  for (const Buffer& b : store.buffers()) {
    const StoredTensor* const entry = b.spec.saved ? file.find(b.spec.name) : nullptr;
    if (!entry) continue;
    if (b.spec.boolean)
      read_boolean(file, *entry, b.value);
    else
      read_values(file, *entry, b.value);
  }
  store.refresh_values();
}

StoredTensor stored(std::string name, const Tensor& value) {
  const auto type = [&] {
    switch (value.dtype()) {
      case DType::f64:
        return StoredType::f64;
      case DType::f32:
        return StoredType::f32;
      case DType::bf16:
        return StoredType::bf16;
      case DType::i32:
        return StoredType::i32;
    }
    return StoredType::f32;
  };
  const auto extents = value.shape().extents();
  return {std::move(name), type(), {extents.begin(), extents.end()}, {value.raw(), size_t(value.bytes())}};
}

void save_weights(const ParameterStore& store, const std::filesystem::path& path) {
  std::vector<StoredTensor> tensors;
  std::vector<uint8_t> booleans;
  booleans.reserve(store.buffers().size());
  for (const Parameter& p : store.parameters()) tensors.push_back(stored(p.spec.name, p.master));
  for (const Buffer& b : store.buffers()) {
    if (!b.spec.saved) continue;
    StoredTensor entry = stored(b.spec.name, b.value);
    if (b.spec.scalar) entry.shape.clear();
    if (b.spec.boolean) {
      booleans.push_back(uint8_t(*b.value.data<int32_t>() != 0));
      entry.type = StoredType::boolean;
      entry.bytes = std::as_bytes(std::span(&booleans.back(), 1));
    }
    tensors.push_back(std::move(entry));
  }
  write_safetensors(path, tensors);
}

}  // namespace kappa
