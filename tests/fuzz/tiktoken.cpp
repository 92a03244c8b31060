#include "data/tokenizer/formats.h"
#include "tests/fuzz/targets.h"
#include "tests/fuzz/tokenizer_promises.h"

namespace kappa::test {

/// T.tiktoken, and after a null byte T.json.
void fuzz_tiktoken(const std::string& bytes) {
  const size_t end = bytes.find('\0');
  const auto read = [](const std::string& tokens, const std::string& description) {
    Vocabulary v{.tokens = read_tiktoken(tokens, "fuzz.tiktoken")};
    read_description(description, "fuzz.json", v);
    return v;
  };
  check_promises([&] { return read(bytes.substr(0, end), end == bytes.npos ? "" : bytes.substr(end + 1)); },
                 [&](const Vocabulary& v) { return read(write_tiktoken(v.tokens), write_description(v)); });
}

std::vector<std::string> tiktoken_seeds() {
  const Vocabulary v = small_vocabulary();
  return {write_tiktoken(v.tokens) + '\0' + write_description(v)};
}

}  // namespace kappa::test
