#include "data/tokenizer/formats.h"
#include "engine/core/file.h"
#include "tests/fuzz/targets.h"
#include "tests/fuzz/tokenizer_promises.h"
#include "tests/support/paths.h"

namespace kappa::test {

void fuzz_pickle(const std::string& bytes) {
  check_promises([&] { return read_pickled_encoding(bytes, "fuzz.pkl"); }, [](const Vocabulary& v) { return v; });
}

std::vector<std::string> pickle_seeds() {
  const auto folder = source_dir() / "tests/data/fixtures/tokenizer";
  return {read_file(folder / "protocol3.pkl"), read_file(folder / "protocol4.pkl")};
}

}  // namespace kappa::test
