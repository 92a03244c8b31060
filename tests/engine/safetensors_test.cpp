#include "engine/tensor/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "engine/core/element.h"
#include "engine/core/error.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace kappa;
using kappa::test::TempFolder;

namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::string with_length(const std::string& header, uint64_t length) {
  return std::string(reinterpret_cast<const char*>(&length), 8) + header;
}

/// What a file of this header and so many bytes of data is read as.
SafetensorsContents parse(const std::string& header, size_t data = 0) {
  static std::string file;  // the tensors point into it
  file = with_length(header, header.size()) + std::string(data, '\1');
  return parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors");
}

std::string refusal(const std::string& header, size_t data = 0) {
  try {
    parse(header, data);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

template <class T>
std::vector<T> values(const SafetensorsFile& file, const std::string& name) {
  std::vector<T> out(size_t(file.at(name).size()));
  file.read(file.at(name), std::span<T>(out));
  return out;
}

}  // namespace

TEST_CASE("safetensors: what is written is read, whatever its type and place") {
  const TempFolder folder;
  const std::vector<uint8_t> booleans{1, 0, 1}, bytes{0, 255};
  const std::vector<float> floats{1.5f, -2.0f, 0x1p-149f, INFINITY, -0.0f, 3.0f};
  const std::vector<double> doubles{M_PI};
  const std::vector<bfloat16> brains{bfloat16(1.0f), bfloat16(-3.0f)};
  const std::vector<int32_t> ints{-1, 7};
  const std::vector<int64_t> longs{int64_t{1} << 40};
  const std::vector<uint16_t> halves{0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x7c00, 0x8000, 0x3555};
  write_safetensors(folder / "a",
                    {{.name = "booleans", .type = StoredType::boolean, .shape = {3}, .bytes = bytes_of(booleans)},
                     {.name = "floats", .type = StoredType::f32, .shape = {1, 2, 3, 1}, .bytes = bytes_of(floats)},
                     {.name = "none", .type = StoredType::f32, .shape = {0, 5}, .bytes = {}},
                     {.name = "brains", .type = StoredType::bf16, .shape = {2}, .bytes = bytes_of(brains)},
                     {.name = "a scalar", .type = StoredType::f64, .shape = {}, .bytes = bytes_of(doubles)},
                     {.name = "ints", .type = StoredType::i32, .shape = {2}, .bytes = bytes_of(ints)},
                     {.name = "longs", .type = StoredType::i64, .shape = {1}, .bytes = bytes_of(longs)},
                     {.name = "halves", .type = StoredType::f16, .shape = {8}, .bytes = bytes_of(halves)},
                     {.name = "bytes", .type = StoredType::u8, .shape = {2}, .bytes = bytes_of(bytes)}},
                    {{"step", "12"}});
  const SafetensorsFile file(folder / "a");

  REQUIRE(file.metadata() == std::map<std::string, std::string>{{"step", "12"}});
  std::string order;
  for (const StoredTensor& t : file.tensors()) {
    order += t.name + " ";
    REQUIRE(reinterpret_cast<uintptr_t>(t.bytes.data()) % size_t(size_of(t.type)) == 0);
  }
  REQUIRE(order == "a scalar longs floats none ints brains halves booleans bytes ");
  REQUIRE(file.at("floats").shape == std::vector<int64_t>{1, 2, 3, 1});
  REQUIRE(file.at("none").size() == 0);

  REQUIRE(values<float>(file, "floats") == floats);
  REQUIRE(std::signbit(values<double>(file, "floats")[4]));
  REQUIRE(values<double>(file, "a scalar") == doubles);
  REQUIRE(values<float>(file, "a scalar") == std::vector<float>{float(M_PI)});
  REQUIRE(values<double>(file, "brains") == std::vector<double>{1, -3});
  REQUIRE(values<int32_t>(file, "ints") == ints);
  REQUIRE(values<int64_t>(file, "ints") == std::vector<int64_t>{-1, 7});
  REQUIRE(values<int64_t>(file, "longs") == longs);
  REQUIRE(values<uint8_t>(file, "bytes") == bytes);
  REQUIRE(values<double>(file, "halves") ==
          std::vector<double>{1, -2, 0x1p-24, 1023 * 0x1p-24, 65504, INFINITY, -0.0, 1365 * 0x1p-12});
  bool read[3];
  file.read(file.at("booleans"), std::span<bool>(read));
  REQUIRE((read[0] && !read[1] && read[2]));
}

TEST_CASE("safetensors: errors of reading name file, tensor, expected and found") {
  const TempFolder folder;
  const std::vector<int64_t> longs{5, int64_t{1} << 40};
  const std::vector<uint8_t> booleans{1, 2};
  const std::vector<float> floats{1, 2, 3, 4, 5, 6};
  write_safetensors(folder / "a", {{.name = "longs", .type = StoredType::i64, .shape = {2}, .bytes = bytes_of(longs)},
                                   {.name = "booleans", .type = StoredType::boolean, .shape = {2}, .bytes = bytes_of(booleans)},
                                   {.name = "w", .type = StoredType::f32, .shape = {2, 3}, .bytes = bytes_of(floats)}});
  const SafetensorsFile file(folder / "a");
  const std::string path = (folder / "a").string();
  bool flags[2];
  float short_by_one[5];
  const int64_t shape[] = {3, 2};
  REQUIRE_THROWS_WITH(file.at("v"), path + ": expected a tensor v, found none");
  REQUIRE(file.find("v") == nullptr);
  REQUIRE_THROWS_WITH(file.at("w", shape), path + ": w: expected shape [3, 2], found [2, 3]");
  REQUIRE_THROWS_WITH(file.read(file.at("w"), std::span<float>(short_by_one)), path + ": w: expected 5 elements, found 6");
  REQUIRE_THROWS_WITH(values<float>(file, "longs"), path + ": longs: expected floating-point numbers, found I64");
  REQUIRE_THROWS_WITH(values<int32_t>(file, "w"), path + ": w: expected integers, found F32");
  REQUIRE_THROWS_WITH(values<uint8_t>(file, "w"), path + ": w: expected bytes (U8), found F32");
  REQUIRE_THROWS_WITH(file.read(file.at("longs"), std::span<bool>(flags)),
                      path + ": longs: expected true or false (BOOL), found I64");
  REQUIRE_THROWS_WITH(values<int32_t>(file, "longs"),
                      path + ": longs: expected integers of 32 bits, found 1099511627776 at element 1");
  REQUIRE_THROWS_WITH(file.read(file.at("booleans"), std::span<bool>(flags)),
                      path + ": booleans: expected 0 or 1, found 2 at element 1");
}

// Oracle: the nearest of the two neighbours in bfloat16, found by comparing distances in long double; ties to the even one.
TEST_CASE("safetensors: float64 becomes bfloat16 with one rounding") {
  std::mt19937_64 random(5);
  std::vector<double> doubles{
      1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, 1 + 3 * 0x1p-8, 1 + 3 * 0x1p-8 - 0x1p-50, 0x1p-133, 0x1p-134, 0x1.8p-134, 1e300, -1e300};
  for (int i = 0; i < 20'000; ++i) {  // near the middle between two neighbours, where two roundings would go wrong
    const double middle = double(std::bit_cast<float>(uint32_t(random() % 0x7f000000u) & 0xffff0000u)) * (1 + 0x1p-8);
    doubles.push_back(middle * (1 + double(int(random() % 5) - 2) * 0x1p-45));
  }
  const TempFolder folder;
  write_safetensors(folder / "a",
                    {{.name = "x", .type = StoredType::f64, .shape = {int64_t(doubles.size())}, .bytes = bytes_of(doubles)}});
  const auto found = values<bfloat16>(SafetensorsFile(folder / "a"), "x");
  for (size_t i = 0; i < doubles.size(); ++i) {
    const double x = doubles[i], magnitude = std::fabs(x);
    uint32_t low = 0;  // the largest bfloat16 not above |x|, by its bits
    for (uint32_t bit = 0x4000; bit > 0; bit >>= 1)
      if (low + bit < 0x7f80 && double(std::bit_cast<float>((low + bit) << 16)) <= magnitude) low += bit;
    const auto value = [](uint32_t bits) {
      return bits == 0x7f80 ? 0x1p128L : static_cast<long double>(std::bit_cast<float>(bits << 16));
    };
    const long double below = magnitude - value(low), above = value(low + 1) - magnitude;
    const uint32_t nearest = below < above || (below == above && low % 2 == 0) ? low : low + 1;
    INFO(x);
    REQUIRE(found[i].bits == (nearest | (std::signbit(x) ? 0x8000 : 0)));
  }
}

TEST_CASE("safetensors: a good header, with what the format allows") {
  const auto contents = parse(
      R"({"b":{"shape":[2],"dtype":"F32","data_offsets":[4,12]},"__metadata__":{"k":"v"},"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},)"
      R"("empty":{"dtype":"BF16","shape":[1099511627776,2,0],"data_offsets":[4,4]}}   )",
      12);
  REQUIRE(contents.tensors.size() == 3);
  REQUIRE(contents.tensors[0].name == "a");
  REQUIRE(contents.tensors[1].name == "empty");
  REQUIRE(contents.tensors[1].size() == 0);
  REQUIRE(contents.tensors[2].name == "b");
  REQUIRE(contents.metadata.at("k") == "v");
  REQUIRE(parse("{}").tensors.empty());
}

TEST_CASE("safetensors: a file that is too short for what it says") {
  const auto read = [](const std::string& file) { return parse_safetensors(std::as_bytes(std::span(file)), "x"); };
  REQUIRE_THROWS_WITH(read(""), "x: expected at least the 8 bytes of a safetensors file, found 0");
  REQUIRE_THROWS_WITH(read("1234567"), "x: expected at least the 8 bytes of a safetensors file, found 7");
  REQUIRE_THROWS_WITH(read(with_length("{}", 3)), "x: expected a header of at most 2 bytes, found a length of 3");
  REQUIRE_THROWS_WITH(read(with_length("{}", ~uint64_t{0})),
                      "x: expected a header of at most 2 bytes, found a length of 18446744073709551615");
  REQUIRE_THROWS_WITH(read(with_length("", 0)), "x: expected a header that begins with {");
}

TEST_CASE("safetensors: a header that is not what it should be") {
  const std::string good = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  const std::pair<std::string, std::string> cases[] = {
      {R"([])", "expected a header that begins with {"},
      {R"({)", "expected a header of JSON, found a syntax error at its byte 2"},
      {R"({}{})", "expected a header of JSON, found a syntax error at its byte 3"},
      {R"({"a":1})", "a: expected an object, found 1"},
      {R"({"a":[]})", "a: expected an object, found an array"},
      {R"({"a":null})", "a: expected an object, found null"},
      {R"({"a":{}})", "a: expected dtype, shape and data_offsets, found no dtype"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", "a: expected dtype, shape and data_offsets, found no data_offsets"},
      {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})",
       "a: dtype: expected F64, F32, BF16, F16, I64, I32, U8 or BOOL, found \"F33\""},
      {R"({"a":{"dtype":7}})", "a: dtype: expected a text, found 7"},
      {R"({"a":{"dtype":"F32","shape":4}})", "a: shape: expected an array of whole numbers, found 4"},
      {R"({"a":{"dtype":"F32","shape":{}}})", "a: shape: expected an array of whole numbers, found an object"},
      {R"({"a":{"dtype":"F32","shape":["1"]}})", "a: shape: expected whole numbers from 0 to 2^63 - 1, found \"1\""},
      {R"({"a":{"dtype":"F32","shape":[-1]}})", "a: shape: expected whole numbers from 0 to 2^63 - 1, found -1"},
      {R"({"a":{"dtype":"F32","shape":[1.0]}})", "a: shape: expected whole numbers from 0 to 2^63 - 1, found 1.0"},
      {R"({"a":{"dtype":"F32","shape":[[1]]}})", "a: shape: expected whole numbers from 0 to 2^63 - 1, found an array"},
      {R"({"a":{"dtype":"F32","shape":[9223372036854775808]}})",
       "a: shape: expected whole numbers from 0 to 2^63 - 1, found 9223372036854775808"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1]}})", "a: shape: expected at most 4 numbers, found more"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
       "a: shape: expected a size below 2^63 bytes, found more"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})",
       "a: shape: expected a size below 2^63 bytes, found more"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "a: data_offsets: expected two numbers, found 1"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
       "a: expected data_offsets in order within 4 bytes of data, found [4, 0]"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       "a: expected data_offsets in order within 4 bytes of data, found [0, 8]"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "a: expected 8 bytes for its shape, found 4"},
      {R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[2,4]}})", "a: expected its data to begin at byte 0, found 2"},
      {R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "expected 2 bytes of data, found 4"},
      {R"({"a":{)" + good + R"(},"b":{"dtype":"BOOL","shape":[2],"data_offsets":[2,4]}})",
       "b: expected its data to begin at byte 4, found 2"},
      {R"({"a":{)" + good + R"(},"a":{)" + good + "}}", "a: expected each name once, found it twice"},
      {R"({"a":{"dtype":"F32",)" + good + "}}", "a: expected one dtype, found two"},
      {R"({"a":{"offsets":1}})", "a: expected dtype, shape or data_offsets, found \"offsets\""},
      {R"({"__metadata__":{"k":1}})", "__metadata__: k: expected a text, found 1"},
      {R"({"__metadata__":{"k":"v","k":"w"}})", "__metadata__: k: expected each key once, found it twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "__metadata__: expected each name once, found it twice"},
      {"{\"\xff\":{}}", "expected a header of JSON, found a syntax error at its byte 3"},
      {"{\"a\\u0000\\n\":1}", "a??: expected an object, found 1"},
  };
  for (const auto& [header, message] : cases) {
    INFO(header);
    REQUIRE(refusal(header, 4) == "x.safetensors: " + message);
  }
}

TEST_CASE("safetensors: deep nesting is refused where it begins") {
  const size_t depth = 10'000'000;
  REQUIRE(refusal(R"({"a":)" + std::string(depth, '[')) == "x.safetensors: a: expected an object, found an array");
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += R"({"a":)";
  REQUIRE(refusal(objects) == R"(x.safetensors: a: expected dtype, shape or data_offsets, found "a")");
}

TEST_CASE("safetensors: what would hide something or cost more than the file is refused") {
  // What a parser of JSON takes for the end of its input would hide the rest.
  REQUIRE(refusal(std::string("{}\0 ", 4)) == "x.safetensors: expected a header of JSON, found a zero at its byte 2");
  std::string keys;
  for (int i = 0; i < 5000; ++i) keys += fmt::format("{}\"{}\":\"\"", i == 0 ? "" : ",", i);
  REQUIRE(refusal("{\"__metadata__\":{" + keys + "}}") == "x.safetensors: __metadata__: expected at most 4096 keys, found more");
}

TEST_CASE("safetensors: a writer that was not given everything leaves nothing") {
  const TempFolder folder;
  const std::vector<StoredTensor> one{{.name = "a", .type = StoredType::f32, .shape = {1}}};
  {
    SafetensorsWriter writer(folder / "a", one);
    const float value = 1;
    REQUIRE_THROWS_AS(writer.commit(), std::logic_error);
    REQUIRE_THROWS_AS(writer.write(0, {}), std::logic_error);
    writer.write(0, std::as_bytes(std::span(&value, 1)));
    REQUIRE_THROWS_AS(writer.write(0, std::as_bytes(std::span(&value, 1))), std::logic_error);
  }
  REQUIRE_THROWS_AS(SafetensorsWriter(folder / "a", {one[0], one[0]}), std::logic_error);
  REQUIRE(std::filesystem::is_empty(folder.path()));
}
