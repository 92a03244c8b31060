// What libFuzzer calls; built by scripts/fuzz.sh, which says which target it is.

#ifdef KAPPA_FUZZ_TARGET

#include "engine/core/file.h"
#include "tests/fuzz/targets.h"

/// The last argument is the corpus folder; it begins with the target's seeds.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::filesystem::path corpus = (*argv)[*argc - 1];
  int number = 0;
  for (const std::string& seed : kappa::test::KAPPA_FUZZ_SEEDS())
    kappa::write_file(corpus / ("seed" + std::to_string(number++)), seed);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  kappa::test::KAPPA_FUZZ_TARGET(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}

#endif
