#!/usr/bin/env bash
# All that needs a GPU: tests, compute-sanitizer, benchmarks. Prints a summary and leaves OUT/gpu-check.json and what each step said.
#
#   scripts/gpu-check.sh pack [BUILD]   gathers the programs of BUILD (build/release) and their libraries in build/gpu.tar.gz: all
#                                       that is needed, beside this tree, where there are a driver and CUDA's libraries, but no compiler
#   scripts/gpu-check.sh run [OUT]      unpacks and runs them, by default into build/gpu-check
set -euo pipefail
cd "$(dirname "$0")/.."

pack() {
  local build=$1 to=build/gpu
  rm -rf "$to" && mkdir -p "$to/lib"
  for program in kappa kappa_tests; do
    local from="$build/$program"
    [ -x "$from" ] || from="$build/tests/$program"
    cp "$from" "$to/" && strip "$to/$program"
    # glibc is the machine's own; so is what the driver brings.
    ldd "$to/$program" | awk '$3 ~ /^\// { print $3 }' | grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux)[-.]' | xargs -r -I{} cp -Ln {} "$to/lib/"
  done
  tar -C build -czf build/gpu.tar.gz gpu
  rm -r "$to"
  du -h build/gpu.tar.gz
}

failed=0
json=()
step() {  # NAME COMMAND…: runs it, notes how it ended and how long it took
  local name=$1 begin=$SECONDS status=passed
  shift
  if ! "$@" > "$out/$name.log" 2>&1; then status=failed failed=1; fi
  if [ "$status" = passed ] && grep -q 'skipped: ' "$out/$name.log"; then status=skipped failed=1; fi
  printf '%-28s %-8s %4d s\n' "$name" "$status" $((SECONDS - begin))
  json+=("\"$name\": {\"status\": \"$status\", \"seconds\": $((SECONDS - begin))}")
}

run() {
  local programs=build/gpu
  out=$1
  mkdir -p "$out"
  if ! command -v nvidia-smi > /dev/null || ! nvidia-smi -L > "$out/gpu.txt" 2>&1; then
    echo "gpu-check: no NVIDIA driver or no GPU here" >&2
    exit 2
  fi
  cat "$out/gpu.txt"
  tar -C build -xzf build/gpu.tar.gz
  export KAPPA_SOURCE_DIR="$PWD"
  # cuBLASLt where the loader does not look: beside a toolkit, or in a Python package.
  local lt
  lt=$(find /usr/local /usr/lib /opt -name 'libcublasLt.so.13' 2> /dev/null | head -1 || true)
  export LD_LIBRARY_PATH="$PWD/$programs/lib${lt:+:${lt%/*}}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  # The compiler's libraries that were packed may want a newer glibc than this one; then this machine's own are taken.
  "$programs/kappa" --version > /dev/null 2>&1 || rm -f "$programs"/lib/libstdc++.so* "$programs"/lib/libgcc_s.so*

  # What is wanted most comes first: the time on such a machine is often short.
  step bench "$programs/kappa" bench moe --device cuda --baseline swiglu --json --steps 30 --plans "$out/gemm_plans.txt"
  step bench-table "$programs/kappa" bench moe --device cuda --plans "$out/gemm_plans.txt"  # with the algorithms of the run before
  [ -s "$out/bench-table.log" ] && cat "$out/bench-table.log"
  step plans grep -c ' m=65536 n=64 k=768 ' "$out/gemm_plans.txt"
  # Every case runs on CPU and GPU, and twice more on the GPU for equal bits; the same cases run on the host's model of the grid.
  step tests-gpu "$programs/kappa_tests" 'gpu:*'
  step tests-emulated "$programs/kappa_tests" 'ops: the CUDA kernels*,moe kernels*,tiled gemm*,moe on a device*'
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
      # All kernels are ours then, and the tool has memory of its own.
      local check=(timeout 120 compute-sanitizer --tool "$tool" --error-exitcode 1 "$programs/kappa" bench moe --device cuda --tiled --memory 2048)
      step "$tool" "${check[@]}" --small
      step "$tool-ragged" "${check[@]}" --tokens 131 --channels 36 --experts 5 --top-k 3 --dtype float32 --steps 1 --warmup 0
      if grep -qi 'not supported' "$out/$tool.log"; then echo "compute-sanitizer does not support this machine; see $out/$tool.log" && break; fi
    done
  else
    echo 'compute-sanitizer               missing: not run'
    json+=('"compute-sanitizer": {"status": "missing", "seconds": 0}')
  fi

  {
    printf '{"gpu": "%s", "date": "%s", "commit": "%s",\n "steps": {' "$(head -1 "$out/gpu.txt" | sed 's/ (UUID.*//; s/"/\\"/g')" \
      "$(date -u +%F)" "$("$programs/kappa" --version | head -1)"
    local IFS=,
    printf '%s},\n "bench": ' "${json[*]}"
    grep '^{' "$out/bench.log" || echo null
    echo '}'
  } > "$out/gpu-check.json"
  echo "$out/gpu-check.json"
  exit $failed
}

case ${1:-} in
  pack) pack "${2:-build/release}" ;;
  run) run "${2:-build/gpu-check}" ;;
  *)
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
