#include "data/parquet/thrift.h"

#include <limits>

#include "engine/core/error.h"

namespace kappa::parquet {
namespace {

using Type = ThriftReader::Type;

Type type_of(int code) {
  require(code >= int(Type::yes) && code <= int(Type::structure), "expected a Thrift type from 1 to 12, found {}", code);
  return Type(code);
}

int64_t unzigzag(uint64_t value) { return int64_t(value >> 1) ^ -int64_t(value & 1); }

const char* name_of(Type type) {
  static constexpr const char* names[] = {"nothing", "a boolean", "a boolean", "a byte", "an integer", "an integer", "an integer",
                                          "a real",  "a string",  "a list",    "a set",  "a map",      "a struct"};
  return names[int(type)];
}

}  // namespace

ThriftReader::Nesting::Nesting(int& d) : depth(d) {
  require(depth < deepest, "expected at most {} nested Thrift values, found more", deepest);
  ++depth;
}

void ThriftReader::expect(Field field, Type type) const {
  require(field.type == type, "Thrift field {}: expected {}, found {}", field.id, name_of(type), name_of(field.type));
}

std::string_view ThriftReader::take(uint64_t count) {
  require(count <= bytes_.size() - at_, "expected {} more bytes of Thrift, found {}", count, bytes_.size() - at_);
  at_ += size_t(count);
  return bytes_.substr(at_ - size_t(count), size_t(count));
}

uint8_t ThriftReader::byte() { return uint8_t(take(1).front()); }

uint64_t ThriftReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t b = byte();
    value |= uint64_t(b & 0x7F) << shift;
    if (b < 0x80) return value;
  }
  throw InputError("expected a Thrift integer of at most 10 bytes, found a longer one");
}

bool ThriftReader::next_field(Field& field) {
  const uint8_t header = byte();
  if (header == 0) return false;
  // The id is four bits' distance from the one before, or, where that is 0, written out.
  const int64_t id = header >> 4 ? field.id + (header >> 4) : unzigzag(varint());
  require(id >= 0 && id <= std::numeric_limits<int16_t>::max(), "expected a Thrift field's id, found {}", id);
  field = {int32_t(id), type_of(header & 15)};
  return true;
}

ThriftReader::ListHeader ThriftReader::list_header() {
  const uint8_t header = byte();
  const uint64_t size = header >> 4 == 15 ? varint() : header >> 4;
  // An element takes a byte at least.
  require(size <= bytes_.size() - at_ && size <= uint64_t(std::numeric_limits<int32_t>::max()),
          "a Thrift list of {} elements in {} bytes", size, bytes_.size() - at_);
  return {int32_t(size), size > 0 ? type_of(header & 15) : Type::byte};
}

int64_t ThriftReader::integer(Field field) {
  require(field.type == Type::i16 || field.type == Type::i32 || field.type == Type::i64,
          "Thrift field {}: expected an integer, found {}", field.id, name_of(field.type));
  return unzigzag(varint());
}

int32_t ThriftReader::int32(Field field) {
  const int64_t value = integer(field);
  require(value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max(),
          "Thrift field {}: expected 32 bits, found {}", field.id, value);
  return int32_t(value);
}

bool ThriftReader::boolean(Field field) {
  require(field.type == Type::yes || field.type == Type::no, "Thrift field {}: expected a boolean, found {}", field.id,
          name_of(field.type));
  return field.type == Type::yes;
}

std::string_view ThriftReader::binary(Field field) {
  expect(field, Type::binary);
  return take(varint());
}

void ThriftReader::skip(Field field) {
  const auto skip_element = [&](Type type) {  // in lists and maps, a boolean is a byte
    if (type == Type::yes || type == Type::no)
      byte();
    else
      skip({field.id, type});
  };
  const Nesting nesting(depth_);
  switch (field.type) {
    case Type::stop:
    case Type::yes:
    case Type::no:
      break;
    case Type::byte:
      byte();
      break;
    case Type::i16:
    case Type::i32:
    case Type::i64:
      varint();
      break;
    case Type::real:
      take(8);
      break;
    case Type::binary:
      take(varint());
      break;
    case Type::list:
    case Type::set:
      for (auto [size, type] = list_header(); size > 0; --size) skip_element(type);
      break;
    case Type::map: {
      uint64_t size = varint();
      if (size == 0) break;
      const uint8_t types = byte();
      for (const Type key = type_of(types >> 4), value = type_of(types & 15); size > 0; --size)
        skip_element(key), skip_element(value);
      break;
    }
    case Type::structure:
      for (Field inner{0, Type::stop}; next_field(inner);) skip(inner);
      break;
  }
}

}  // namespace kappa::parquet
