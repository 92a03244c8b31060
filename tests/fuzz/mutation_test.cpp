// The fuzzer's targets under a few thousand mutations that are the same every time. The target ends the program where it fails;
// that it returns is what is tested.

#include <random>

#include "tests/fuzz/targets.h"
#include "tests/support/catch.h"

using namespace kappa::test;

namespace {

/// A few bytes exchanged, removed, repeated, or replaced by what tends to break parsers.
std::string mutated(std::string text, std::mt19937_64& random) {
  static const std::string hard[] = {"\"",
                                     "{",
                                     "}",
                                     "[",
                                     "]",
                                     ":",
                                     ",",
                                     "-",
                                     "\n",
                                     " ",
                                     "0",
                                     "-1",
                                     "9223372036854775807",
                                     "1e999",
                                     "nan",
                                     "&a",
                                     "*a",
                                     "!",
                                     "%",
                                     "|",
                                     ">",
                                     "\xff",
                                     "\xef\xbb\xbf",
                                     std::string(1, '\0'),
                                     "\t",
                                     "#",
                                     "?",
                                     "'",
                                     "\\",
                                     "null",
                                     "true",
                                     "auto"};
  const auto below = [&](size_t n) { return size_t(random() % n); };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(text.size() + 1), length = std::min(below(12), text.size() - at);
    switch (below(5)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, text.substr(at, length));
        break;
      case 2:
        text.replace(at, length, hard[below(std::size(hard))]);
        break;
      case 3:
        text.insert(at, hard[below(std::size(hard))]);
        break;
      case 4:
        if (at < text.size()) text[at] = char(random());
        break;
    }
  }
  return text;
}

template <class Target>
int survived(Target target, const std::vector<std::string>& seeds, int rounds) {
  std::mt19937_64 random(1);
  int count = 0;
  for (const std::string& seed : seeds) {
    target(seed);
    for (int i = 0; i < rounds; ++i, ++count) target(mutated(seed, random));
    for (size_t cut = 0; cut < seed.size() && cut < 500; ++cut, ++count) target(seed.substr(0, cut));
  }
  return count;
}

}  // namespace

TEST_CASE("fuzz: mutated safetensors files are read or refused") {
  REQUIRE(survived(fuzz_safetensors, safetensors_seeds(), 20'000) > 60'000);
}

TEST_CASE("fuzz: mutated configurations are read or refused") { REQUIRE(survived(fuzz_config, config_seeds(), 5'000) > 10'000); }

TEST_CASE("fuzz: mutated Parquet files are read or refused") { REQUIRE(survived(fuzz_parquet, parquet_seeds(), 2'000) > 40'000); }

TEST_CASE("fuzz: mutated JSON Lines are read or refused") {
  REQUIRE(survived(fuzz_json_lines, json_lines_seeds(), 5'000) > 15'000);
}

TEST_CASE("fuzz: mutated tokenizer files are read or refused") {
  REQUIRE(survived(fuzz_tiktoken, tiktoken_seeds(), 3'000) > 3'000);
  REQUIRE(survived(fuzz_hugging_face, hugging_face_seeds(), 3'000) > 3'000);
  REQUIRE(survived(fuzz_pickle, pickle_seeds(), 3'000) > 6'000);
}
