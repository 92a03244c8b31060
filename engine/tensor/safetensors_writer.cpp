#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/tensor/safetensors.h"

namespace kappa {
namespace {

std::vector<size_t> widest_first(const std::vector<StoredTensor>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](size_t i) { return size_of(tensors[i].type); });
  return order;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<StoredTensor>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), places_(tensors.size()) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t end = 0;
  for (size_t i : widest_first(tensors)) {
    const StoredTensor& t = tensors[i];
    places_[i] = {.begin = end, .bytes = t.size() * size_of(t.type)};
    end += places_[i].bytes;
    if (header.contains(t.name)) throw std::logic_error("two tensors named " + t.name);
    header[t.name] = {{"dtype", name_of(t.type)}, {"shape", t.shape}, {"data_offsets", {places_[i].begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(text);
  for (Place& place : places_) place.begin += int64_t(8 + length);
}

void SafetensorsWriter::write(size_t index, std::span<const std::byte> bytes) {
  Place& place = places_.at(index);
  if (place.bytes != int64_t(bytes.size()) || place.written)
    throw std::logic_error(fmt::format("tensor {}: expected {} bytes once, found {}", index, place.bytes, bytes.size()));
  file_.write_at(place.begin, bytes);
  place.written = true;
}

void SafetensorsWriter::commit() {
  if (!std::ranges::all_of(places_, &Place::written)) throw std::logic_error("a tensor has not been written");
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, const std::vector<StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer(path, tensors, metadata);
  for (size_t i = 0; i < tensors.size(); ++i) writer.write(i, tensors[i].bytes);
  writer.commit();
}

}  // namespace kappa
