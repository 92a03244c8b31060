#pragma once
// What a user may ask to compute in.

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/core/element.h"

namespace kappa {

constexpr std::array precisions{DType::f32, DType::bf16, DType::f64};
constexpr std::array precision_names{name_of(precisions[0]), name_of(precisions[1]), name_of(precisions[2])};

/// `name` is one of precision_names.
constexpr DType precision_named(std::string_view name) {
  return precisions[size_t(std::ranges::find(precision_names, name) - precision_names.begin())];
}

}  // namespace kappa
