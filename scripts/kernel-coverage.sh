#!/usr/bin/env bash
# Which lines of the CUDA kernels the tests have run, on the host's model of the grid. After the tests of the asan preset, which counts them.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/asan}

counted=$(find "$build" -path '*/emulated/*' -name '*.gcda')
if [ -z "$counted" ]; then
  echo "kernel-coverage: no counts in $build: run ctest --preset asan first" >&2
  exit 2
fi
# The gcov that belongs to the compiler: g++-12 writes what gcov-12 reads.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
gcov=gcov
[[ $compiler =~ (-[0-9]+)$ ]] && gcov+=${BASH_REMATCH[1]}
for counts in $counted; do
  "$gcov" --no-output "$counts" 2>/dev/null
done | awk -F"'" '
  /^File / { file = $2; next }
  /^Lines executed:/ && file ~ /engine\/.*\.cu$/ {
    split($0, part, /[:% ]+/); share = part[3]; lines = part[5]
    sub(/.*engine\//, "engine/", file)
    printf "%-50s %5.1f %% of %4d lines\n", file, share, lines
    run += share * lines / 100; all += lines; file = ""
  }
  END { if (all == 0) { print "kernel-coverage: '"$gcov"' read no counts" > "/dev/stderr"; exit 2 }
        printf "%-50s %5.1f %% of %4d lines\n", "all kernels", 100 * run / all, all }'
