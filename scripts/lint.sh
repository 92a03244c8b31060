#!/usr/bin/env bash
# Format and lint (clang-format and clang-tidy 14): says what is wrong and ends with 1, or says nothing.
#
#   scripts/lint.sh [FILE.cpp…]     without files all of them, which takes an hour on two cores
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format --dry-run --Werror

# Compile commands of its own, because clang knows neither g++'s precompiled headers nor the flags that the environment has for it.
CXXFLAGS='' cmake -S . -B build/lint -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DKAPPA_CUDA=OFF > /dev/null
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git ls-files '*.cpp')
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy -p build/lint --quiet 2> >(grep -v ' generated\.$' >&2)
