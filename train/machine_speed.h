#pragma once
// What this machine can do with the threads there are, measured with this program's own kernels.

namespace kappa {

/// FLOP/s of a large float32 product. Takes a fraction of a second.
double measure_product_rate();
/// Bytes/s read and written by a large copy.
double measure_copy_rate();

}  // namespace kappa
