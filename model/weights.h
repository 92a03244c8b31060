#pragma once
// A model's parameters and buffers as a safetensors file, under the names of the spec (model §1).

#include <filesystem>

#include "engine/nn/parameter.h"
#include "engine/tensor/safetensors.h"

namespace kappa {

/// Reads every parameter, and those buffers that the file has; then refreshes the compute copies. Throws InputError for a
/// parameter that is missing or of another shape or type, for a value that is not finite, and for a tensor that the model does
/// not have (except state of keepers that are switched off).
void load_weights(ParameterStore& store, const std::filesystem::path& path);

/// Reads an entry of so many elements into a tensor. Throws InputError naming file, tensor and place of a value that is not
/// finite.
void read_values(const SafetensorsFile& file, const StoredTensor& entry, const Tensor& to);

/// Writes all masters and saved buffers.
void save_weights(const ParameterStore& store, const std::filesystem::path& path);

/// A tensor as a file's entry: its bytes are those of `value`, which must live until the file is written.
StoredTensor stored(std::string name, const Tensor& value);

}  // namespace kappa
