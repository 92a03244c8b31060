#pragma once
// A model's parameters and buffers as a safetensors file, under the names of the spec (model §1).

#include <filesystem>

#include "engine/nn/parameter.h"
#include "engine/tensor/safetensors.h"

namespace kappa {

/// Throws InputError for a parameter or buffer of another shape, for a parameter that is missing, and for a tensor that the model
/// does not have (except state of keepers that are switched off). The store need not have its memory yet: impossible sizes are
/// told from those of the file before anything is taken for them.
void check_weights(const ParameterStore& store, const SafetensorsFile& file);

/// Checks the file, reads every parameter, and those buffers that it has; then refreshes the compute copies. Throws InputError,
/// also for another type and for a value that is not finite.
void load_weights(ParameterStore& store, const SafetensorsFile& file);
inline void load_weights(ParameterStore& store, const std::filesystem::path& path) { load_weights(store, SafetensorsFile(path)); }

/// Reads an entry of so many elements into a tensor. Throws InputError naming file, tensor and place of a value that is not
/// finite.
void read_values(const SafetensorsFile& file, const StoredTensor& entry, const Tensor& to);

/// Writes all masters and saved buffers.
void save_weights(const ParameterStore& store, const std::filesystem::path& path);

/// A tensor as a file's entry: its bytes are those of `value`, which must live until the file is written.
StoredTensor stored(std::string name, const Tensor& value);

}  // namespace kappa
