#!/usr/bin/env python3
"""Writes tests/data/fixtures/parquet: small files of pyarrow, polars and duckdb, and expected.json, what is in them.

A maintainer's script (needs pyarrow, polars, duckdb); its output is committed, so neither building nor testing kappa needs it.

expected.json: file: {"rows", "nulls", "digest"}. The digest is FNV-1a (64 bits) over all rows: the length as 8 bytes, the least
significant first (of a null 2^64 - 1), and then the bytes of the text.
"""
import json
import os
import pathlib
import random

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).parent.parent / "tests/data/fixtures/parquet"
LINES = ["A gate opens with its confidence.", "κ sharpens σ(κ·g).", "", "A gate closes again.", "日本語のテキスト 😀", "two\nlines\t\"quoted\""]


def digest(texts):
    value = 0xCBF29CE484222325
    for text in texts:
        data = b"" if text is None else text.encode()
        size = (1 << 64) - 1 if text is None else len(data)
        for byte in size.to_bytes(8, "little") + data:
            value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def texts(count, nulls=0.0):
    draw = random.Random(count)
    return [None if draw.random() < nulls else draw.choice(LINES)[: draw.randrange(60)] for _ in range(count)]


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}

    def keep(name, values):
        expected[name] = {"rows": len(values), "nulls": sum(v is None for v in values), "digest": digest(values)}

    def arrow(name, values, nullable=True, table=None, **options):
        if table is None:
            table = pa.table([pa.array(values, pa.string())], schema=pa.schema([pa.field("text", pa.string(), nullable=nullable)]))
        plain = {"use_dictionary": False, "compression": "none", "store_schema": False, "write_statistics": False}
        pq.write_table(table, FOLDER / name, **(plain | options))
        keep(name, values)

    arrow("plain.parquet", texts(20), nullable=False)
    arrow("nulls.parquet", texts(40, 0.4), row_group_size=15)
    arrow("all_null.parquet", [None] * 30, use_dictionary=True)
    arrow("zero_rows.parquet", [])
    arrow("shard_style.parquet", texts(60), compression="zstd", row_group_size=16)
    arrow("snappy_v2.parquet", texts(50, 0.2), compression="snappy", data_page_version="2.0", data_page_size=100, write_batch_size=8)
    arrow("gzip.parquet", texts(30), compression="gzip", write_page_checksum=True)
    arrow("lz4.parquet", texts(30, 0.1), compression="lz4")
    arrow("brotli.parquet", texts(30, 0.1), compression="brotli", data_page_version="2.0")
    arrow("dictionary.parquet", texts(80, 0.1), use_dictionary=True, write_page_checksum=True, row_group_size=30)
    arrow("dictionary_fallback.parquet", texts(60), use_dictionary=True, dictionary_pagesize_limit=64, data_page_size=80, write_batch_size=10)
    arrow("delta_length.parquet", texts(150, 0.1), column_encoding="DELTA_LENGTH_BYTE_ARRAY", compression="zstd")
    arrow("delta_byte_array.parquet", sorted(texts(150)), column_encoding="DELTA_BYTE_ARRAY", data_page_version="2.0")
    values = texts(12, 0.2)
    nested = pa.table({
        "id": pa.array(range(12)),
        "tags": pa.array([[{"k": "a", "v": [1, None]}] * (i % 3) for i in range(12)]),
        "meta": pa.array([{"text": "not this"} for _ in range(12)]),
        "text": pa.array(values, pa.large_string()),
    })
    arrow("nested.parquet", values, table=nested, compression="snappy")

    values = texts(70, 0.1)
    polars.DataFrame({"text": values}).write_parquet(FOLDER / "polars.parquet", compression="zstd", row_group_size=25)
    keep("polars.parquet", values)

    connection = duckdb.connect()
    connection.register("rows", pa.table({"text": pa.array(values, pa.string())}))
    for version in ("V1", "V2"):
        name = f"duckdb_{version.lower()}.parquet"
        connection.execute(f"COPY (SELECT * FROM rows) TO '{FOLDER / name}' (FORMAT parquet, CODEC 'zstd', PARQUET_VERSION '{version}', "
                           f"DICTIONARY_SIZE_LIMIT {1 if version == 'V2' else 1000})")
        keep(name, values)

    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{len(expected)} files, {sum(f.stat().st_size for f in FOLDER.iterdir())} bytes")


main()
