#pragma once
// What a launch calls after it, and before one that wants much shared memory. Apart, because nvcc compiles it.

#include <cstddef>

namespace kappa {

/// Throws RunError that names the kernel if its launch was refused.
void check_launch(const char* kernel);
/// Lets a kernel use more dynamic shared memory than every kernel may.
void allow_shared_memory(const char* kernel, const void* function, size_t bytes);

}  // namespace kappa
