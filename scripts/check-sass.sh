#!/usr/bin/env bash
# Whether nvcc keeps 16 bytes together: kernels that move packs of bfloat16 must not store them one by one. Prints how many stores
# of which width each has (sums are stored as single float32). Needs cuobjdump.
#
#   scripts/check-sass.sh [BUILD]     BUILD: build/release
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}

failed=0
for object in "$build"/CMakeFiles/*/engine/ops/{moe_dispatch,kappa_swiglu}/cuda.cu.o; do
  # Of every kernel for packs (ELi8E: of 8 bfloat16), how many stores of which width.
  cuobjdump -sass "$object" | awk '
    /Function :/ { kernel = $3 }
    kernel ~ /ELi8E/ && match($0, /STG\.E[.A-Z0-9]*/) { width = substr($0, RSTART, RLENGTH); count[kernel " " width]++ }
    END { for (key in count) print key, count[key] }' | c++filt | sort > "$build/sass.txt"
  cat "$build/sass.txt"
  if grep -q 'STG\.E\.U16' "$build/sass.txt"; then failed=1; fi
done
[ $failed = 0 ] || echo "check-sass: packs are stored in pieces" >&2
exit $failed
