#pragma once
// Up to four extents, row-major.

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "engine/core/error.h"

namespace kappa {

class Shape {
 public:
  Shape(std::initializer_list<int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const int64_t> extents) : rank_(int(extents.size())) {
    require(rank_ <= 4, "a tensor has at most 4 axes, found {}", rank_);
    std::ranges::copy(extents, extents_.begin());
  }
  int rank() const { return rank_; }
  /// Extent of `axis`; negative axes count from the end.
  int64_t operator[](int axis) const { return extents_[size_t(axis < 0 ? axis + rank_ : axis)]; }
  int64_t size() const {
    int64_t n = 1;
    for (int64_t extent : extents()) n *= extent;
    return n;
  }
  /// All elements as rows of the last axis: [size / last, last].
  int64_t rows() const { return size() / (*this)[-1]; }
  std::span<const int64_t> extents() const { return {extents_.data(), size_t(rank_)}; }
  /// The same with another last extent.
  Shape with_last(int64_t extent) const {
    Shape other = *this;
    other.extents_[size_t(rank_ - 1)] = extent;
    return other;
  }
  bool operator==(const Shape& other) const { return std::ranges::equal(extents(), other.extents()); }

 private:
  std::array<int64_t, 4> extents_{};
  int rank_;
};

/// "[2, 3]"
std::string to_string(const Shape& shape);

}  // namespace kappa

template <>
struct fmt::formatter<kappa::Shape> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  auto format(const kappa::Shape& shape, format_context& context) const {
    return std::ranges::copy(kappa::to_string(shape), context.out()).out;
  }
};
