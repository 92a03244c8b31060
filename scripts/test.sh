#!/usr/bin/env bash
# All tests on a fresh machine: installs what is missing, builds, tests, then the same under AddressSanitizer and UBSan.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)

third_party/install.sh

# Recorded cases that are too large to be kept here are checked too where a folder with them lies beside this one.
if [ -z "${KAPPA_SHARED:-}" ] && [ -d ../shared/golden ]; then
  KAPPA_SHARED=$(cd ../shared && pwd)
  export KAPPA_SHARED
fi

if command -v clang-format >/dev/null && [ "$(clang-format --version | grep -oE '[0-9]+' | head -1)" = 14 ]; then
  git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror
fi

for preset in release asan; do
  cmake --preset "$preset" -DKAPPA_TESTS=ON  # the quick start builds without
  cmake --build --preset "$preset" -j "$jobs"
done
ctest --preset asan -j "$jobs" --no-tests=error
scripts/kernel-coverage.sh build/asan
ctest --preset release -j "$jobs" --no-tests=error
