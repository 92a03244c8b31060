#include "data/tokenizer/formats.h"
#include "tests/fuzz/targets.h"
#include "tests/fuzz/tokenizer_promises.h"

namespace kappa::test {

static std::string written(const Vocabulary& v) { return write_hugging_face(v, BpeEncoder(v.tokens)); }

void fuzz_hugging_face(const std::string& bytes) {
  check_promises([&] { return read_hugging_face(bytes, "fuzz.json"); },
                 [](const Vocabulary& v) { return read_hugging_face(written(v), "fuzz.json"); });
}

std::vector<std::string> hugging_face_seeds() { return {written(small_vocabulary())}; }

}  // namespace kappa::test
