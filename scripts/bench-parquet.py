#!/usr/bin/env python3
"""Times the scan of a Parquet file's text column against pyarrow's, in turns, one thread each, in processor time.

A maintainer's script (needs pyarrow).

    scripts/bench-parquet.py build/release/tests/kappa_tests [FILE.parquet…]

Without files, some are made of random words: in row groups of 1024 documents as the paper's shards are, and as short strings.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq

PAIRS = 9


def pyarrow_seconds(path):
    """The faster of pyarrow's two ways to read the column, row group by row group."""
    best = float("inf")
    for memory_map in (False, True):
        start = time.process_time()
        file = pq.ParquetFile(path, memory_map=memory_map)
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=["text"], use_threads=False)
        best = min(best, time.process_time() - start)
    return best


def make_files(folder):
    draw = random.Random(1)
    words = ["".join(draw.choices("etaoinshrdlucmfwypvbgk", k=draw.randrange(1, 11))) for _ in range(30_000)]
    frequent = [1 / (rank + 2) for rank in range(len(words))]
    stream = draw.choices(words, frequent, k=6_000_000)
    documents, at = [], 0
    while at < len(stream):
        size = int(draw.lognormvariate(6, 0.9)) + 5
        documents.append(" ".join(stream[at : at + size]))
        at += size
    long, short = pa.table({"text": documents * 3}), pa.table({"text": stream[:4_000_000]})
    plain = {"use_dictionary": False, "write_statistics": False}
    for name, table, options in [
        ("zstd, the paper's shards", long, plain | {"compression": "zstd", "compression_level": 3, "row_group_size": 1024}),
        ("snappy", long, plain | {"compression": "snappy", "row_group_size": 1024}),
        ("gzip", long, plain | {"compression": "gzip", "row_group_size": 1024}),
        ("lz4_raw", long, plain | {"compression": "lz4", "row_group_size": 1024}),
        ("brotli", long, plain | {"compression": "brotli", "row_group_size": 1024}),
        ("uncompressed", long, plain | {"compression": "none", "row_group_size": 1024}),
        ("zstd, one row group", long, plain | {"compression": "zstd", "compression_level": 3, "row_group_size": 1 << 30}),
        ("short strings, PLAIN", short, plain | {"compression": "none"}),
        ("short strings, dictionary", short, {"compression": "none"}),
        ("short strings, DELTA_LENGTH_BYTE_ARRAY", short, plain | {"compression": "none", "column_encoding": "DELTA_LENGTH_BYTE_ARRAY"}),
        ("short strings, DELTA_BYTE_ARRAY", short, plain | {"compression": "none", "column_encoding": "DELTA_BYTE_ARRAY"}),
    ]:
        path = os.path.join(folder, name.replace(" ", "-").replace(",", "").replace("'", "") + ".parquet")
        pq.write_table(table, path, **options)
        yield name, path


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [(os.path.basename(p), p) for p in sys.argv[2:]] or make_files(folder)
        for name, path in files:
            pairs = []
            for _ in range(PAIRS):
                environment = os.environ | {"KAPPA_BENCH_FILE": path, "KAPPA_BENCH_RUNS": "2"}  # the faster of two, as pyarrow's is
                run = subprocess.run([sys.argv[1], "bench: scan of a Parquet file"], env=environment, capture_output=True, text=True, check=True)
                ours = next(json.loads(line) for line in run.stdout.splitlines() if line.startswith("{"))
                pairs.append((ours, pyarrow_seconds(path)))
            middle = lambda key: statistics.median(ours[key] for ours, _ in pairs)
            theirs = statistics.median(seconds for _, seconds in pairs)
            ratios = [seconds / ours["seconds_looked_at"] for ours, seconds in pairs]
            rate = lambda seconds: f"{ours['bytes'] / seconds / 1e9:.2f}"
            ours = pairs[0][0]
            print(f"{name}: {ours['texts']} texts, {ours['bytes'] / 1e6:.0f} MB in {ours['packed_bytes'] / 1e6:.0f} MB; GB/s of text: "
                  f"handed out {rate(middle('seconds_handed_out'))}, every byte looked at {rate(middle('seconds_looked_at'))}, pyarrow {rate(theirs)}; "
                  f"floor: decompression alone {rate(middle('floor_decompress'))}, the file's bytes {rate(middle('floor_read'))}; "
                  f"pyarrow's time / ours {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


main()
