#include "train/cli/build.h"

#include <fmt/format.h>

#include "data/parquet/codec.h"
#include "engine/core/error.h"
#include "engine/device/gemm.h"

namespace kappa {

static bool reads(parquet::Codec codec) {
  try {
    parquet::require_codec(codec);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

Build this_build() {
  Build build{.version = KAPPA_VERSION,
              .commit = KAPPA_COMMIT,
              .compiler = KAPPA_COMPILER,
              .blas = blas_name(),
              .cuda = KAPPA_CUDA_VERSION};
  if (!reads(parquet::Codec::lz4_raw)) build.codecs_left_out.emplace_back("LZ4", "liblz4-dev");
  if (!reads(parquet::Codec::brotli)) build.codecs_left_out.emplace_back("Brotli", "libbrotli-dev");
  return build;
}

std::string version() {
  const Build b = this_build();
  return fmt::format("kappa {} ({})\ncompiler: {}\nproducts: {}\nCUDA: {}", b.version, b.commit, b.compiler, b.blas,
                     b.cuda.empty() ? "none" : b.cuda);
}

}  // namespace kappa
