#pragma once
// Tests that need a GPU have names that begin with "gpu:" (scripts/gpu-check.sh runs these); elsewhere they are skipped.

#include "engine/core/error.h"
#include "engine/cuda/runtime.h"
#include "tests/support/skip.h"

namespace kappa::test {

/// Whether there is none that this program can use, which is said.
inline bool no_gpu() {
  try {
    cuda::queue();
    return false;
  } catch (const InputError& error) {
    skip(error.what());
    return true;
  }
}

}  // namespace kappa::test
