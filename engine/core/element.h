#pragma once
// Element types: all that a kernel file may know of tensors.

#include <bit>
#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define KAPPA_HD __host__ __device__
#else
#define KAPPA_HD
#endif

namespace kappa {

enum class DType : uint8_t { f64, f32, bf16, i32 };

constexpr int64_t size_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::bf16 ? 2 : 4; }

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "float64";
    case DType::f32:
      return "float32";
    case DType::bf16:
      return "bfloat16";
    case DType::i32:
      return "int32";
  }
  return "?";
}

/// The upper half of a float32. Arithmetic happens in float32; a store rounds to nearest even.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  KAPPA_HD bfloat16(float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));  // the same, in one instruction
#else
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? uint16_t((u >> 16) | 0x40u) : uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
  }
  KAPPA_HD operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

template <class T>
struct TypeOf;
template <>
struct TypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct TypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct TypeOf<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct TypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};

/// The type in which sums over T are carried, and in which parameters of a T model are kept.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

constexpr DType wide(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace kappa
