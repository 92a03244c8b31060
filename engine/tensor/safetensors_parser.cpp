// The reader of the header: a state machine over the events of a JSON parser that keeps no tree and does not recurse.

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/tensor/safetensors.h"

namespace kappa {
namespace {

constexpr uint64_t header_limit = 100'000'000;  // bytes; the format's own limit
constexpr size_t axes_limit = 4, metadata_limit = 4096;
constexpr StoredType all_types[] = {StoredType::f64, StoredType::f32, StoredType::bf16, StoredType::f16,
                                    StoredType::i64, StoredType::i32, StoredType::u8,   StoredType::boolean};

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  std::optional<StoredType> type;
  std::optional<std::vector<int64_t>> shape, offsets;
};

/// Bytes that `e` needs by type and shape, or nothing where the extents (an axis of none taken as one) do not multiply within 63
/// bits.
std::optional<int64_t> bytes_needed(const Entry& e) {
  int64_t bytes = size_of(*e.type);
  for (int64_t extent : *e.shape)
    if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes)) return {};
  return std::ranges::count(*e.shape, 0) > 0 ? 0 : bytes;
}

StoredTensor checked(Entry& e, std::span<const std::byte> data, const std::string& path) {
  const std::string name = printable(e.name);
  require(e.offsets->size() == 2, "{}: {}: data_offsets: expected two numbers, found {}", path, name, e.offsets->size());
  const int64_t begin = (*e.offsets)[0], end = (*e.offsets)[1], size = int64_t(data.size());
  require(begin <= end && end <= size, "{}: {}: expected data_offsets in order within {} bytes of data, found [{}, {}]", path,
          name, size, begin, end);
  const auto needed = bytes_needed(e);
  require(needed.has_value(), "{}: {}: shape: expected a size below 2^63 bytes, found more", path, name);
  require(*needed == end - begin, "{}: {}: expected {} bytes for its shape, found {}", path, name, *needed, end - begin);
  return {.name = std::move(e.name),
          .type = *e.type,
          .shape = std::move(*e.shape),
          .bytes = data.subspan(size_t(begin), size_t(end - begin))};
}

/// Each tensor is checked and kept as its object ends: a header of millions of them costs little more than the tensors do.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::span<const std::byte> data, const std::string& path) : data_(data), path_(path) {}

  std::deque<StoredTensor> tensors;
  std::map<std::string, std::string> metadata;

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("true or false"); }
  bool number_integer(number_integer_t value) override { refuse(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { refuse(printable(text)); }
  bool binary(binary_t&) override { refuse("bytes"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ != State::numbers || value > uint64_t(std::numeric_limits<int64_t>::max())) refuse(std::to_string(value));
    require(numbers_->size() < axes_limit, "{}: {}: expected at most {} numbers, found more", where(), key_, axes_limit);
    numbers_->push_back(int64_t(value));
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::metadata)
      metadata[key_] = value;
    else if (state_ == State::tensor && key_ == "dtype")
      entry_.type = type_named(value);
    else
      refuse(fmt::format("\"{}\"", printable(value)));
    return true;
  }

  bool key(string_t& name) override {
    key_ = name;
    if (state_ == State::metadata) {
      require(!metadata.contains(name), "{}: __metadata__: {}: expected each key once, found it twice", path_, printable(name));
      require(metadata.size() < metadata_limit, "{}: __metadata__: expected at most {} keys, found more", path_, metadata_limit);
    } else if (state_ == State::tensor) {
      require(name == "dtype" || name == "shape" || name == "data_offsets",
              "{}: expected dtype, shape or data_offsets, found \"{}\"", where(), printable(name));
      const Entry& e = entry_;
      const bool twice = name == "dtype" ? e.type.has_value() : name == "shape" ? e.shape.has_value() : e.offsets.has_value();
      require(!twice, "{}: expected one {}, found two", where(), name);
    }
    return true;
  }

  bool start_object(size_t) override {
    if (state_ == State::start) {
      state_ = State::top;
    } else if (state_ == State::top) {
      state_ = key_ == "__metadata__" ? State::metadata : State::tensor;
      if (state_ == State::metadata)
        require(!std::exchange(described_, true), "{}: __metadata__: expected each name once, found it twice", path_);
      entry_ = {.name = key_, .type = {}, .shape = {}, .offsets = {}};
    } else {
      refuse("an object");
    }
    return true;
  }

  bool end_object() override {
    if (state_ == State::tensor) {
      const Entry& e = entry_;
      require(e.type && e.shape && e.offsets, "{}: expected dtype, shape and data_offsets, found no {}", where(),
              !e.type    ? "dtype"
              : !e.shape ? "shape"
                         : "data_offsets");
      tensors.push_back(checked(entry_, data_, path_));
    }
    state_ = State::top;
    return true;
  }

  bool start_array(size_t) override {
    if (state_ != State::tensor || key_ == "dtype") refuse("an array");
    numbers_ = &(key_ == "shape" ? entry_.shape : entry_.offsets).emplace();
    state_ = State::numbers;
    return true;
  }

  bool end_array() override {
    state_ = State::tensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw InputError(fmt::format("{}: expected a header of JSON, found a syntax error at its byte {}", path_, position));
  }

 private:
  enum class State { start, top, metadata, tensor, numbers };

  std::string where() const { return fmt::format("{}: {}", path_, printable(entry_.name)); }

  [[noreturn]] void refuse(const std::string& found) const {
    switch (state_) {
      case State::start:
        throw InputError(fmt::format("{}: expected a JSON object as header, found {}", path_, found));
      case State::top:
        throw InputError(fmt::format("{}: {}: expected an object, found {}", path_, printable(key_), found));
      case State::metadata:
        throw InputError(fmt::format("{}: __metadata__: {}: expected a text, found {}", path_, printable(key_), found));
      case State::tensor:
        throw InputError(fmt::format("{}: {}: expected {}, found {}", where(), key_,
                                     key_ == "dtype" ? "a text" : "an array of whole numbers", found));
      case State::numbers:
        break;
    }
    throw InputError(fmt::format("{}: {}: expected whole numbers from 0 to 2^63 - 1, found {}", where(), key_, found));
  }

  StoredType type_named(const std::string& text) const {
    for (StoredType type : all_types)
      if (text == name_of(type)) return type;
    throw InputError(
        fmt::format("{}: dtype: expected F64, F32, BF16, F16, I64, I32, U8 or BOOL, found \"{}\"", where(), printable(text)));
  }

  const std::span<const std::byte> data_;
  const std::string& path_;
  State state_ = State::start;
  std::string key_;
  Entry entry_;             // the tensor that is read
  bool described_ = false;  // there was a __metadata__
  std::vector<int64_t>* numbers_ = nullptr;
};

std::vector<uint32_t> sorted_by_name(const std::deque<StoredTensor>& tensors, const std::string& path) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), uint32_t{0});
  const auto name = [&](uint32_t i) -> const std::string& { return tensors[i].name; };
  std::ranges::sort(order, {}, name);
  const auto twice = std::ranges::adjacent_find(order, {}, name);
  if (twice != order.end())
    throw InputError(fmt::format("{}: {}: expected each name once, found it twice", path, printable(name(*twice))));
  return order;
}

}  // namespace

SafetensorsContents parse_safetensors(std::span<const std::byte> file, const std::string& path) {
  require(file.size() >= 8, "{}: expected at least the 8 bytes of a safetensors file, found {}", path, file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const size_t rest = file.size() - 8;
  require(length <= rest && length <= header_limit, "{}: expected a header of at most {} bytes, found a length of {}", path,
          std::min<uint64_t>(rest, header_limit), length);

  const char* header = reinterpret_cast<const char*>(file.data()) + 8;
  require(length > 0 && *header == '{', "{}: expected a header that begins with {{", path);
  if (const void* zero = std::memchr(header, 0, length))  // the JSON parser would take it for the end
    throw InputError(
        fmt::format("{}: expected a header of JSON, found a zero at its byte {}", path, static_cast<const char*>(zero) - header));
  const auto data = file.subspan(8 + length);
  HeaderReader reader(data, path);
  nlohmann::json::sax_parse(header, header + length, &reader);
  SafetensorsContents contents{.tensors = std::move(reader.tensors), .by_name = {}, .metadata = std::move(reader.metadata)};

  const auto range = [&](const StoredTensor& t) {
    const int64_t begin = t.bytes.data() - data.data();
    return std::pair(begin, begin + int64_t(t.bytes.size()));
  };
  std::ranges::sort(contents.tensors, [&](const StoredTensor& a, const StoredTensor& b) {
    const auto left = range(a), right = range(b);
    return left != right ? left < right : a.name < b.name;
  });
  contents.by_name = sorted_by_name(contents.tensors, path);
  int64_t covered = 0;
  for (const StoredTensor& tensor : contents.tensors) {
    const auto [begin, end] = range(tensor);
    require(begin == covered, "{}: {}: expected its data to begin at byte {}, found {}", path, printable(tensor.name), covered,
            begin);
    covered = end;
  }
  require(covered == int64_t(data.size()), "{}: expected {} bytes of data, found {}", path, covered, data.size());
  return contents;
}

}  // namespace kappa
