#pragma once
// Thrift's compact protocol, read from memory: what Parquet's footers and page headers are written in.
//
// A struct is a list of fields (id, type, value) that ends with a zero byte; integers are zigzag varints; a list is its length,
// the type of its elements, and these. Nothing that is read here allocates: lengths are held against the bytes that are left.

#include <cstdint>
#include <string_view>

namespace kappa::parquet {

class ThriftReader {
 public:
  enum class Type : uint8_t { stop, yes, no, byte, i16, i32, i64, real, binary, list, set, map, structure };
  struct Field {
    int32_t id;
    Type type;
  };
  static constexpr Field root{0, Type::structure};

  explicit ThriftReader(std::string_view bytes) : bytes_(bytes) {}
  /// How many bytes were read.
  size_t position() const { return at_; }

  // The value of a field that was just named to a body. All throw InputError if it has another type or is not there in full.
  int64_t integer(Field field);
  int32_t int32(Field field);
  bool boolean(Field field);
  std::string_view binary(Field field);

  /// Calls body(Field) for every field, which must read its value or skip it.
  template <class Body>
  void structure(Field field, Body&& body) {
    expect(field, Type::structure);
    const Nesting nesting(depth_);
    Field inner{0, Type::stop};
    while (next_field(inner)) body(inner);
  }

  /// Calls body(Field) for every element, which must read it or skip it; the field's id is the element's place.
  template <class Body>
  void list(Field field, Body&& body) {
    expect(field, Type::list);
    const Nesting nesting(depth_);
    auto [size, type] = list_header();
    for (int32_t i = 0; i < size; ++i) body(Field{i, type});
  }

  void skip(Field field);

 private:
  static constexpr int deepest = 32;  // Parquet's own structs nest six deep
  struct Nesting {
    int& depth;
    explicit Nesting(int& d);
    ~Nesting() { --depth; }
  };
  struct ListHeader {
    int32_t size;
    Type type;
  };

  void expect(Field field, Type type) const;
  bool next_field(Field& field);
  ListHeader list_header();
  uint8_t byte();
  uint64_t varint();
  std::string_view take(uint64_t count);

  std::string_view bytes_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace kappa::parquet
