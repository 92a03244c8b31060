#pragma once
// Named values of a safetensors file, and how far two of them are apart.

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/tensor/safetensors.h"

namespace kappa::test {

struct Values {
  bool exact;  // integers and booleans
  std::vector<double> numbers;
};
using ValuesByName = std::map<std::string, Values>;

template <class T>
std::vector<double> read_as(const SafetensorsFile& file, const StoredTensor& entry) {
  const auto buffer = std::make_unique<T[]>(size_t(entry.size()));
  file.read(entry, std::span<T>(buffer.get(), size_t(entry.size())));
  return {buffer.get(), buffer.get() + entry.size()};
}

inline ValuesByName values_in(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  ValuesByName all;
  for (const StoredTensor& entry : file.tensors()) {
    if (entry.type == StoredType::boolean)
      all[entry.name] = {true, read_as<bool>(file, entry)};
    else if (entry.type == StoredType::i32 || entry.type == StoredType::i64)
      all[entry.name] = {true, read_as<int64_t>(file, entry)};
    else
      all[entry.name] = {false, read_as<double>(file, entry)};
  }
  return all;
}

inline double norm(const std::vector<double>& x) {
  double squares = 0;
  for (double value : x) squares += value * value;
  return std::sqrt(squares);
}

inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return NAN;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

}  // namespace kappa::test
