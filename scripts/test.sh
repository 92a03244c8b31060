#!/usr/bin/env bash
# All tests on a fresh machine: installs what is missing, builds, tests, then the same under AddressSanitizer and UBSan.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)

third_party/install.sh

if command -v clang-format >/dev/null && [ "$(clang-format --version | grep -oE '[0-9]+' | head -1)" = 14 ]; then
  git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror
fi

for preset in release asan; do
  cmake --preset "$preset"
  cmake --build --preset "$preset" -j "$jobs"
done
ctest --preset asan -j "$jobs"
ctest --preset release -j "$jobs"
