// How fast the texts of a Parquet file are handed out, and what cannot be avoided: looking at the file's bytes, and decompressing
// its pages. Not a test; run by name:
//
//     KAPPA_BENCH_FILE=shard.parquet KAPPA_BENCH_RUNS=9 build/release/tests/kappa_tests "bench: scan of a Parquet file"
//
// scripts/bench-parquet.py runs it in turns with pyarrow.

#include <nlohmann/json.hpp>

#include "data/parquet/text_reader.h"
#include "engine/core/error.h"
#include "tests/bench/seconds.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace kappa;
using namespace kappa::parquet;
using test::seconds, test::sum_of;

namespace {

template <class Body>
void for_each_text(const File& file, Body&& body) {
  TextReader reader(file);
  for (int64_t g = 0; g < file.row_groups(); ++g) {
    reader.open(g);
    for (auto texts = reader.next(); !texts.empty(); texts = reader.next())
      for (const std::string_view text : texts) body(text);
  }
}

/// Every page of the column, decompressed and otherwise left alone.
void decompress_all(const File& file) {
  Decompressor decompress;
  Buffer buffer;
  for (const RowGroup& g : file.footer().row_groups) {
    std::string_view pages = column_bytes(file.bytes(), g);
    while (!pages.empty()) {
      const PageHeader header = read_page_header(pages);
      std::string_view page = pages.substr(header.bytes, size_t(header.size));
      pages.remove_prefix(header.bytes + page.size());
      const int32_t levels = header.definition + header.repetition;
      page.remove_prefix(size_t(levels));
      decompress(header.compressed ? g.column.codec : Codec::none, page, header.unpacked_size - levels, buffer);
    }
  }
}

}  // namespace

TEST_CASE("bench: scan of a Parquet file", "[.bench]") {
  const char *path = std::getenv("KAPPA_BENCH_FILE"), *count = std::getenv("KAPPA_BENCH_RUNS");
  if (path == nullptr) return test::skip("KAPPA_BENCH_FILE names no Parquet file");
  const int runs = count == nullptr ? 5 : std::atoi(count);
  const File file(path);
  uint64_t sum = 0;
  int64_t texts = 0, bytes = 0, packed = 0;
  for (const RowGroup& g : file.footer().row_groups) packed += g.column.bytes;
  for_each_text(file, [&](std::string_view text) { ++texts, bytes += int64_t(text.size()); });

  const double handed_out = seconds(runs, [&] { for_each_text(file, [&](std::string_view text) { sum += text.size(); }); }),
               looked_at = seconds(runs, [&] { for_each_text(file, [&](std::string_view text) { sum += sum_of(text); }); }),
               floor_read = seconds(runs, [&] { sum += sum_of(file.bytes()); }),
               floor_decompress = seconds(runs, [&] { decompress_all(file); });
  fmt::print("{}\n", nlohmann::json{{"texts", texts},
                                    {"bytes", bytes},
                                    {"packed_bytes", packed},
                                    {"seconds_handed_out", handed_out},
                                    {"seconds_looked_at", looked_at},
                                    {"floor_read", floor_read},
                                    {"floor_decompress", floor_decompress},
                                    {"sum", sum % 10}}
                         .dump());
}
