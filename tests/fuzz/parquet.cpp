#include <cstdlib>

#include "data/parquet/text_reader.h"
#include "engine/core/error.h"
#include "tests/fuzz/targets.h"
#include "tests/support/parquet_writer.h"
#include "tests/support/paths.h"

namespace kappa::test {
namespace {

constexpr int64_t most_rows = 100'000;  // a few bytes may claim thousands of millions

/// The sum of all bytes, so that every one is looked at; −1 where the row group is refused.
int64_t sum_of(parquet::TextReader& reader, int64_t row_group, int64_t rows) {
  int64_t sum = 0, read = 0;
  try {
    reader.open(row_group);
    for (auto texts = reader.next(); !texts.empty() && read < most_rows; texts = reader.next()) {
      read += int64_t(texts.size());
      for (const std::string_view text : texts)
        for (const char c : text) sum = sum * 31 % 1'000'003 + uint8_t(c);
    }
  } catch (const InputError& e) {
    const std::string message = e.what();
    if (!message.starts_with("fuzz: row group ") || message.find('\n') != std::string::npos || message.size() > 1000)
      std::abort();
    return -1;
  }
  if (read > rows || (read < rows && read < most_rows)) std::abort();
  return sum;
}

}  // namespace

/// A file is refused in one line, or its row groups are, or they have as many rows as they say; and again the same.
void fuzz_parquet(const std::string& bytes) {
  try {
    const auto file = parquet::File::of_bytes(bytes, "fuzz");
    parquet::TextReader reader(file);
    const int64_t groups = std::min<int64_t>(file.row_groups(), 20);
    std::vector<int64_t> sums;
    for (int64_t g = 0; g < groups; ++g) sums.push_back(sum_of(reader, g, file.rows(g)));
    for (int64_t g = groups - 1; g >= 0; --g)
      if (sum_of(reader, g, file.rows(g)) != sums[size_t(g)]) std::abort();
  } catch (const InputError& e) {
    const std::string message = e.what();
    if (!message.starts_with("fuzz: ") || message.find('\n') != std::string::npos || message.size() > 1000) std::abort();
  }
}

std::vector<std::string> parquet_seeds() {
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "tests/data/fixtures/parquet"))
    if (entry.path().extension() == ".parquet") seeds.push_back(read_file(entry.path()));
  const std::vector<std::string> texts{"", "delta", "delta byte", "delta byte array"};
  const auto page = [](int32_t values, std::string body, parquet::Encoding encoding) {
    return parquet_file({{.rows = values, .pages = {{.values = values, .body = std::move(body), .encoding = encoding}}}});
  };
  seeds.push_back(parquet_file({optional_row_group({"a", std::nullopt, "b"}), optional_row_group({std::nullopt})}, true));
  seeds.push_back(page(4, plain(texts), parquet::Encoding::plain));
  seeds.push_back(
      page(4, delta_packed({0, 5, 10, 16}) + "deltadelta bytedelta byte array", parquet::Encoding::delta_length_byte_array));
  seeds.push_back(page(4, delta_packed({0, 0, 5, 10}) + delta_packed({0, 5, 5, 6}) + "delta byte array",
                       parquet::Encoding::delta_byte_array));
  std::ranges::sort(seeds);
  return seeds;
}

}  // namespace kappa::test
