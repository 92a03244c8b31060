#!/usr/bin/env python3
"""Holds `kappa data cat` against pyarrow, polars and duckdb: files in every combination of what they can write are read back.

A maintainer's script (needs pyarrow, polars, duckdb); the tests that are built need none of it.

    scripts/check-parquet.py build/release/kappa [FOLDER]
"""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ["the", "κ", "gate", "sharp", "😀", "expert", "\n", '"', "\\", "router", " ", "日本", "\x00", "ünïcode", "\x7f"]


def sentences(count, nulls, seed):
    """Texts with shared beginnings, repetitions, empty ones; and a share of nulls."""
    draw = random.Random(seed)
    pool, texts = [], []
    for _ in range(count):
        chance = draw.random()
        if chance < 0.1:
            text = ""
        elif chance < 0.5 and pool:
            text = draw.choice(pool)[: draw.randrange(40)] + draw.choice(WORDS)
        else:
            text = " ".join(draw.choices(WORDS, k=draw.randrange(30)))
        pool.append(text)
        texts.append(None if draw.random() < nulls else text)
    return texts


def beside(texts, column, nullable):
    """A table with the column among groups, lists and numbers."""
    n = len(texts)
    fields = [
        ("id", pa.array(range(n), pa.int64())),
        ("tags", pa.array([[{"k": str(i), "v": [i, None]}] * (i % 3) for i in range(n)],
                          pa.list_(pa.struct([("k", pa.string()), ("v", pa.list_(pa.int32()))])))),
        ("meta", pa.array([{"text": f"not {i}", "deep": {"text": "nor this"}} for i in range(n)],
                          pa.struct([("text", pa.string()), ("deep", pa.struct([("text", pa.string())]))]))),
        ("text", column),
        ("score", pa.array([float(i) for i in range(n)], pa.float32())),
    ]
    schema = pa.schema([pa.field(name, a.type, nullable=nullable or name != "text") for name, a in fields])
    return pa.table([a for _, a in fields], schema=schema)


def arrow_files(folder):
    texts = {(n, nulls): sentences(n, nulls, n) for n in (0, 1, 257) for nulls in (0, 0.3, 1)}
    combinations = itertools.product(
        ["1.0", "2.0"], ["none", "snappy", "gzip", "brotli", "lz4", "zstd"],
        ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "dictionary", "small dictionary"],
        [("required", 0), ("optional", 0), ("optional", 0.3), ("optional", 1)], [0, 1, 257], [257, 100, 7], [1 << 20, 200])
    for i, (version, codec, encoding, (repetition, nulls), n, group, page) in enumerate(combinations):
        if n < 257 and (group < 257 or page < 1 << 20):
            continue
        values, nullable = texts[n, nulls], repetition == "optional"
        kind = [pa.string(), pa.large_string(), pa.binary()][i % 3]
        column = pa.array([t.encode() if t is not None and kind == pa.binary() else t for t in values], kind)
        table = beside(values, column, nullable) if i % 2 else pa.table([column], schema=pa.schema([pa.field("text", kind, nullable=nullable)]))
        dictionary = encoding.endswith("dictionary")
        path = f"{folder}/arrow-{version}-{codec}-{encoding}-{repetition}-{nulls}-{n}-{group}-{page}.parquet".replace(" ", "-")
        pq.write_table(table, path, data_page_version=version, compression=codec, row_group_size=group, data_page_size=page,
                       write_batch_size=10, use_dictionary=["text"] if dictionary else False,
                       dictionary_pagesize_limit=64 if encoding == "small dictionary" else 1 << 20,
                       column_encoding=None if dictionary else {"text": encoding}, write_page_checksum=i % 5 == 0,
                       write_statistics=i % 7 != 0, write_page_index=i % 3 == 0)
        yield path, values


def other_files(folder):
    draw = random.Random(5)
    huge = ["x" * 5_000_000, "", "".join(draw.choices(WORDS, k=700_000)), None, "end"]
    for codec, encoding in itertools.product(["none", "snappy", "gzip", "brotli", "lz4", "zstd"], ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]):
        path = f"{folder}/huge-{codec}-{encoding}.parquet"
        pq.write_table(pa.table({"text": huge}), path, compression=codec, use_dictionary=False, column_encoding=encoding, write_page_checksum=True)
        yield path, huge
    categories = sentences(500, 0.1, 9)
    path = f"{folder}/categories.parquet"
    pq.write_table(pa.table({"text": pa.array(categories).dictionary_encode()}), path, row_group_size=90)
    yield path, categories

    for codec, nulls, group, page in itertools.product(["uncompressed", "snappy", "gzip", "brotli", "lz4", "zstd"], [0, 0.3, 1], [None, 50], [None, 500]):
        values = sentences(400, nulls, 11)
        path = f"{folder}/polars-{codec}-{nulls}-{group}-{page}.parquet"
        frame = polars.DataFrame({"tags": [[i] * (i % 3) for i in range(400)], "text": polars.Series(values, dtype=polars.String)})
        frame.write_parquet(path, compression=codec, row_group_size=group, data_page_size=page)
        yield path, values
    path = f"{folder}/polars-categories.parquet"
    polars.DataFrame({"text": polars.Series(categories, dtype=polars.Categorical)}).write_parquet(path)
    yield path, categories

    connection = duckdb.connect()
    for codec, version, nulls, group, n in itertools.product(["uncompressed", "snappy", "gzip", "brotli", "lz4_raw", "zstd"], ["V1", "V2"], [0, 0.3, 1], [2048, 122880], [0, 1, 5000]):
        values = sentences(n, nulls, 13)
        rows = pa.table({"tags": pa.array([[i] for i in range(n)], pa.list_(pa.int64())), "text": pa.array(values, pa.string())})
        for limit in (None, 1):
            path = f"{folder}/duckdb-{codec}-{version}-{nulls}-{group}-{n}-{limit}.parquet"
            more = "" if limit is None else f", DICTIONARY_SIZE_LIMIT {limit}"
            connection.register("rows", rows)
            connection.execute(f"COPY (SELECT * FROM rows) TO '{path}' (FORMAT parquet, CODEC '{codec}', PARQUET_VERSION '{version}', ROW_GROUP_SIZE {group}{more})")
            yield path, values


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    kappa = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = sys.argv[2] if len(sys.argv) == 3 else temporary
        files = itertools.chain(arrow_files(folder), other_files(folder))
        count = failed = texts = 0
        while batch := list(itertools.islice(files, 200)):
            run = subprocess.run([kappa, "data", "cat", *[path for path, _ in batch]], capture_output=True, check=False)
            lines = iter(run.stdout.decode().split("\n"))
            for path, values in batch:
                present = [v for v in values if v is not None]
                found = [json.loads(line)["text"] for line in itertools.islice(lines, len(present)) if line]
                count += 1
                texts += len(present)
                if found != present:
                    failed += 1
                    print(f"FAIL {os.path.basename(path)}: exit code {run.returncode}, {run.stderr.decode().strip().splitlines()[-1:]}")
                    break  # what follows in this batch is not in its place
            if run.returncode == 0 and list(lines) not in ([], [""]):
                failed += 1
                print(f"FAIL: more lines than documents, up to {os.path.basename(batch[-1][0])}")
            if len(sys.argv) == 2:
                for path, _ in batch:
                    os.remove(path)
    print(f"{count} files, {texts} texts, {failed} failed")
    sys.exit(failed > 0)


main()
