#include "engine/tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "engine/core/element.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace kappa {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

/// The IEEE format of 16 bits: 1 sign, 5 exponent, 10 fraction.
struct float16 {
  uint16_t bits;
  operator float() const {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const float magnitude = exponent == 31  ? (fraction ? std::numeric_limits<float>::quiet_NaN() : INFINITY)
                            : exponent == 0 ? std::ldexp(float(fraction), -24)
                                            : std::ldexp(float(fraction + 1024), exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
  }
};

/// The float toward zero from x, with its last bit set if anything was cut off. Rounded again to fewer bits it gives what x
/// itself gives (rounding to odd), which two roundings to nearest do not.
float rounded_to_odd(double x) {
  const float nearest = float(x);
  if (double(nearest) == x || std::isnan(x)) return nearest;
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(double(nearest)) > std::fabs(x)) --bits;
  return std::bit_cast<float>(bits | 1);
}

template <class To, class From>
To rounded(From x) {
  if constexpr (std::is_same_v<To, bfloat16> && std::is_same_v<From, double>)
    return bfloat16(rounded_to_odd(x));
  else if constexpr (std::is_same_v<To, From>)
    return x;
  else if constexpr (std::is_same_v<From, double>)
    return To(x);
  else
    return To(float(x));
}

/// Calls use(i, value) with every element, stored as From.
template <class From, class Use>
void each(const StoredTensor& tensor, Use use) {
  const std::byte* from = tensor.bytes.data();
  for (size_t i = 0; i < tensor.bytes.size() / sizeof(From); ++i) {
    From value;  // the data need not be aligned
    std::memcpy(&value, from + i * sizeof(From), sizeof(From));
    use(i, value);
  }
}

[[noreturn]] void refuse(const StoredTensor& tensor, const std::string& path, const char* expected) {
  throw InputError(fmt::format("{}: {}: expected {}, found {}", path, printable(tensor.name), expected, name_of(tensor.type)));
}

template <class T>
requires std::is_same_v<T, double> || std::is_same_v<T, float> || std::is_same_v<T, bfloat16>
void copy(const StoredTensor& tensor, const std::string& path, T* out) {
  const auto put = [out](size_t i, auto value) { out[i] = rounded<T>(value); };
  switch (tensor.type) {
    case StoredType::f64:
      return each<double>(tensor, put);
    case StoredType::f32:
      return each<float>(tensor, put);
    case StoredType::bf16:
      return each<bfloat16>(tensor, put);
    case StoredType::f16:
      return each<float16>(tensor, put);
    default:
      refuse(tensor, path, "floating-point numbers");
  }
}

template <class T>
requires std::is_same_v<T, int64_t> || std::is_same_v<T, int32_t>
void copy(const StoredTensor& tensor, const std::string& path, T* out) {
  const auto put = [&](size_t i, auto value) {
    out[i] = T(value);
    require(out[i] == value, "{}: {}: expected integers of 32 bits, found {} at element {}", path, printable(tensor.name), value,
            i);
  };
  switch (tensor.type) {
    case StoredType::i64:
      return each<int64_t>(tensor, put);
    case StoredType::i32:
      return each<int32_t>(tensor, put);
    default:
      refuse(tensor, path, "integers");
  }
}

void copy(const StoredTensor& tensor, const std::string& path, uint8_t* out) {
  if (tensor.type != StoredType::u8) refuse(tensor, path, "bytes (U8)");
  each<uint8_t>(tensor, [out](size_t i, uint8_t value) { out[i] = value; });
}

void copy(const StoredTensor& tensor, const std::string& path, bool* out) {
  if (tensor.type != StoredType::boolean) refuse(tensor, path, "true or false (BOOL)");
  each<uint8_t>(tensor, [&](size_t i, uint8_t value) {
    require(value <= 1, "{}: {}: expected 0 or 1, found {} at element {}", path, printable(tensor.name), value, i);
    out[i] = value == 1;
  });
}

}  // namespace

int64_t size_of(StoredType type) {
  switch (type) {
    case StoredType::f64:
    case StoredType::i64:
      return 8;
    case StoredType::f32:
    case StoredType::i32:
      return 4;
    case StoredType::bf16:
    case StoredType::f16:
      return 2;
    default:
      return 1;
  }
}

const char* name_of(StoredType type) {
  switch (type) {
    case StoredType::f64:
      return "F64";
    case StoredType::f32:
      return "F32";
    case StoredType::bf16:
      return "BF16";
    case StoredType::f16:
      return "F16";
    case StoredType::i64:
      return "I64";
    case StoredType::i32:
      return "I32";
    case StoredType::u8:
      return "U8";
    case StoredType::boolean:
      return "BOOL";
  }
  return "?";
}

int64_t StoredTensor::size() const {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path.string()), file_(path), contents_(parse_safetensors(file_.bytes(), path_)) {}

const StoredTensor* SafetensorsFile::find(const std::string& name) const {
  const auto name_at = [&](uint32_t i) -> const std::string& { return contents_.tensors[i].name; };
  const auto found = std::ranges::lower_bound(contents_.by_name, name, {}, name_at);
  return found == contents_.by_name.end() || name_at(*found) != name ? nullptr : &contents_.tensors[*found];
}

const StoredTensor& SafetensorsFile::at(const std::string& name) const {
  const StoredTensor* tensor = find(name);
  require(tensor != nullptr, "{}: expected a tensor {}, found none", path_, name);
  return *tensor;
}

const StoredTensor& SafetensorsFile::at(const std::string& name, std::span<const int64_t> shape) const {
  const StoredTensor& tensor = at(name);
  require(std::ranges::equal(tensor.shape, shape), "{}: {}: expected shape [{}], found [{}]", path_, name, fmt::join(shape, ", "),
          fmt::join(tensor.shape, ", "));
  return tensor;
}

template <class T>
void SafetensorsFile::read(const StoredTensor& tensor, std::span<T> out) const {
  require(tensor.size() == int64_t(out.size()), "{}: {}: expected {} elements, found {}", path_, printable(tensor.name),
          out.size(), tensor.size());
  copy(tensor, path_, out.data());
}

template void SafetensorsFile::read(const StoredTensor&, std::span<double>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<float>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<bfloat16>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<int64_t>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<int32_t>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<uint8_t>) const;
template void SafetensorsFile::read(const StoredTensor&, std::span<bool>) const;

}  // namespace kappa
