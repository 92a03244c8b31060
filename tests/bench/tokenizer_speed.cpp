// How fast text becomes ids with one thread, and what cannot be avoided: looking at the text's bytes, and cutting it into pieces.
// Not a test; run by name:
//
//     export KAPPA_BENCH_TOKENIZER=kappa32k.tiktoken KAPPA_BENCH_FILE=text.txt KAPPA_BENCH_RUNS=5
//     build/release/tests/kappa_tests "bench: encoding of a text"
//
// scripts/bench-tokenizer.py runs it in turns with tiktoken.

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "data/tokenizer_file.h"
#include "engine/core/file.h"
#include "tests/bench/seconds.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace kappa;
using namespace kappa::test;

TEST_CASE("bench: encoding of a text", "[.bench]") {
  const char *tokenizer_path = std::getenv("KAPPA_BENCH_TOKENIZER"), *path = std::getenv("KAPPA_BENCH_FILE"),
             *count = std::getenv("KAPPA_BENCH_RUNS");
  if (tokenizer_path == nullptr || path == nullptr) return skip("KAPPA_BENCH_TOKENIZER and KAPPA_BENCH_FILE name no files");
  const int runs = count == nullptr ? 5 : std::atoi(count);
  const Tokenizer tokenizer = load_tokenizer(tokenizer_path);
  const std::string text = read_file(path);
  uint64_t sum = 0;
  size_t ids = 0, pieces = 0;

  const double encoded = seconds(runs, [&] { ids = tokenizer.encode(text).size(); }),
               floor_split = seconds(runs,
                                     [&] {
                                       pieces = 0;
                                       for_each_piece(*tokenizer.vocabulary().pattern, text, [&](std::string_view) { ++pieces; });
                                     }),
               floor_read = seconds(runs, [&] { sum += sum_of(text); });
  fmt::print("{}\n", nlohmann::json{{"bytes", text.size()},
                                    {"ids", ids},
                                    {"pieces", pieces},
                                    {"seconds_encoded", encoded},
                                    {"floor_split", floor_split},
                                    {"floor_read", floor_read},
                                    {"sum", sum % 10}}
                         .dump());
}
