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

known=(config hugging_face json_lines parquet pickle safetensors tiktoken)
targets=("$@")
[ $# -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " = *" $target "* ]] || { echo "fuzz.sh: expected one of ${known[*]}, found $target" >&2; exit 2; }
done

# Every reader lies in one archive, from which each target takes what it needs.
mkdir -p build/fuzz
{
  echo "builddir = build/fuzz"  # of ninja's own notes
  echo "flags = -std=c++20 -O1 -g -I. -fno-sanitize-recover=all -DKAPPA_SOURCE_DIR='\"$PWD\"' -DKAPPA_BINARY='\"\"' -DKAPPA_WITH_LZ4 -DKAPPA_WITH_BROTLI"
  echo "libraries = -lfmt -lyaml-cpp -lsnappy -lz -lzstd -llz4 -lbrotlidec"
  printf '%s\n' 'rule object' '  command = clang++ $flags -fsanitize=fuzzer-no-link,address,undefined $more -MMD -MF $out.d -c $in -o $out' \
    '  depfile = $out.d' '  deps = gcc' \
    'rule archive' '  command = rm -f $out && ar rc $out $in' \
    'rule fuzzer' '  command = clang++ -fsanitize=fuzzer,address,undefined $in $libraries -o $out'
  objects=()
  for source in engine/core/*.cpp engine/config/*.cpp engine/device/thread_pool.cpp engine/tensor/safetensors*.cpp model/config*.cpp \
                train/config*.cpp data/*.cpp data/tokenizer/*.cpp data/parquet/*.cpp tests/support/{parquet_writer,paths}.cpp; do
    objects+=("build/fuzz/objects/$source.o")
    echo "build ${objects[-1]}: object $source"
  done
  echo "build build/fuzz/readers.a: archive ${objects[*]}"
  for target in "${known[@]}"; do
    echo "build build/fuzz/objects/$target.o: object tests/fuzz/$target.cpp"
    echo "build build/fuzz/objects/$target.entry.o: object tests/fuzz/entry.cpp"
    echo "  more = -DKAPPA_FUZZ_TARGET=fuzz_$target -DKAPPA_FUZZ_SEEDS=${target}_seeds"
    echo "build build/fuzz/$target: fuzzer build/fuzz/objects/$target.o build/fuzz/objects/$target.entry.o build/fuzz/readers.a"
  done
} > build/fuzz/build.ninja
ninja -f build/fuzz/build.ninja --quiet "${targets[@]/#/build/fuzz/}"

for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/$target.corpus"
  "build/fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$target-" "build/fuzz/$target.corpus" > "build/fuzz/$target.log" 2>&1 ||
    { tail -n 40 "build/fuzz/$target.log"; exit 1; }
  echo "$target: $(sed -n 's/stat::number_of_executed_units: *//p' "build/fuzz/$target.log") inputs in $seconds seconds, nothing found"
done
