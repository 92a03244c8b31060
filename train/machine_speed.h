#pragma once
// What this machine can do with the threads there are, measured with this program's own kernels.

#include "engine/core/profile.h"

namespace kappa {

/// FLOP/s of a large float32 product. Takes a fraction of a second.
double measure_product_rate();
/// Bytes/s read and written by a large copy.
double measure_copy_rate();

/// Seconds of one float32 product, on numbers just written, when the BLAS has it by itself: the better of one call a matrix with
/// the library's own threads, and one single-threaded call a matrix on all threads.
double measure_library(const ProductShape& shape);

}  // namespace kappa
