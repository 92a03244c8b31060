#pragma once
// What the fuzzer feeds (scripts/fuzz.sh), and what the tests feed with a fixed list of mutations. A target returns for any
// bytes, good or bad; it ends the program where a promise is broken.

#include <string>
#include <vector>

namespace kappa::test {

void fuzz_safetensors(const std::string& bytes);
void fuzz_config(const std::string& bytes);
void fuzz_parquet(const std::string& bytes);
void fuzz_json_lines(const std::string& bytes);
void fuzz_tiktoken(const std::string& bytes);
void fuzz_hugging_face(const std::string& bytes);
void fuzz_pickle(const std::string& bytes);

/// Good inputs to start from.
std::vector<std::string> safetensors_seeds();
std::vector<std::string> config_seeds();
std::vector<std::string> parquet_seeds();
std::vector<std::string> json_lines_seeds();
std::vector<std::string> tiktoken_seeds();
std::vector<std::string> hugging_face_seeds();
std::vector<std::string> pickle_seeds();

}  // namespace kappa::test
