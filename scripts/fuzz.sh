#!/usr/bin/env bash
# Feeds the readers of files with mutated input (libFuzzer, AddressSanitizer, UndefinedBehaviorSanitizer; needs clang++).
#
#   scripts/fuzz.sh [SECONDS_EACH] [TARGET…]
#
# Corpora grow in build/fuzz/TARGET.corpus; an input that breaks a promise is left in build/fuzz and ends the script with 1.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))

tokenizer="engine/core/*.cpp engine/device/thread_pool.cpp data/tokenizer/*.cpp data/tokenizer.cpp"
# target: the sources under test, beside tests/fuzz/TARGET.cpp
declare -A sources=(
  [safetensors]="engine/core/*.cpp engine/tensor/safetensors*.cpp"
  [config]="engine/core/*.cpp engine/config/*.cpp model/config*.cpp train/config*.cpp"
  [parquet]="engine/core/*.cpp data/parquet/*.cpp tests/support/parquet_writer.cpp tests/support/paths.cpp"
  [json_lines]="engine/core/*.cpp data/json_lines.cpp data/byte_stream.cpp"
  [tiktoken]="$tokenizer"
  [hugging_face]="$tokenizer"
  [pickle]="$tokenizer tests/support/paths.cpp"
)
targets=("${@:-}")
[ -n "${targets[0]}" ] || mapfile -t targets < <(printf '%s\n' "${!sources[@]}" | sort)

mkdir -p build/fuzz
for target in "${targets[@]}"; do
  [ -n "${sources[$target]:-}" ] || { echo "fuzz.sh: expected one of ${!sources[*]}, found $target" >&2; exit 2; }
  # shellcheck disable=SC2086  # the globs are meant to expand
  clang++ -std=c++20 -O1 -g -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -DKAPPA_FUZZ_TARGET="fuzz_$target" -DKAPPA_FUZZ_SEEDS="${target}_seeds" \
    -DKAPPA_SOURCE_DIR="\"$PWD\"" -DKAPPA_BINARY='""' -DKAPPA_WITH_LZ4 -DKAPPA_WITH_BROTLI \
    "tests/fuzz/$target.cpp" tests/fuzz/entry.cpp ${sources[$target]} -lfmt -lyaml-cpp \
    -lsnappy -lz -lzstd -llz4 -lbrotlidec -o "build/fuzz/$target"
  mkdir -p "build/fuzz/$target.corpus"
  "build/fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$target-" "build/fuzz/$target.corpus" > "build/fuzz/$target.log" 2>&1 ||
    { tail -n 40 "build/fuzz/$target.log"; exit 1; }
  echo "$target: $(sed -n 's/stat::number_of_executed_units: *//p' "build/fuzz/$target.log") inputs in $seconds seconds, nothing found"
done
