#!/usr/bin/env python3
"""What the way of the data takes of the host's memory on a data set of 100 GB, which is links to a few shards.

A maintainer's script; needs no packages.

    scripts/bench-memory.py build/release/kappa TOKENIZER SHARD.parquet… [-- COMMAND…]

Packs rows at the beginning and far inside of the set, and samples the process's memory: its own (RssAnon), and what of the mapped
files is in memory at the time (RssFile), which the system may take back. In COMMAND, SET stands for the folder.
"""
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

SIZE = 100e9


def measured(words):
    """Seconds, and the peaks of RssAnon and RssFile in MB."""
    start, peaks = time.monotonic(), {"RssAnon": 0, "RssFile": 0}
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    for line in status:
                        key, _, value = line.partition(":")
                        if key in peaks:
                            peaks[key] = max(peaks[key], int(value.split()[0]))
            except OSError:
                break
            time.sleep(0.01)
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {' '.join(words)}")
    return seconds, peaks["RssAnon"] * 1.024e-3, peaks["RssFile"] * 1.024e-3


def main():
    words = sys.argv[1:]
    command = words[words.index("--") + 1 :] if "--" in words else None
    kappa, tokenizer, *shards = words[: words.index("--")] if command else words
    with tempfile.TemporaryDirectory() as folder:
        size, count = 0, 0
        for shard in itertools.cycle(os.path.abspath(s) for s in shards):
            if size >= SIZE:
                break
            os.symlink(shard, f"{folder}/shard_{count:05}.parquet")
            size, count = size + os.path.getsize(shard), count + 1
        print(f"{count} shards, {size / 1e9:.1f} GB")
        state = folder + "/state.json"
        pack = lambda rows: [kappa, "data", "pack", "--tokenizer", tokenizer, "--rows", str(rows), "--seq-len", "2048", "--batch", "32", "--state", state, folder]
        report = lambda what, m: print(f"{what}: {m[0]:.1f} s, own memory {m[1]:.0f} MB, mapped {m[2]:.0f} MB", flush=True)
        report("one batch", measured(pack(32)))
        report("going on from there, 20,000 rows", measured(pack(20_000)))
        report("going on from there, one batch", measured(pack(32)))
        with open(state, "w") as file:
            json.dump({"pq_idx": count * 9 // 10, "rg_idx": 0, "epoch": 1}, file)
        report("from nine tenths of the set on, 20,000 rows", measured(pack(20_000)))
        if command:
            report(" ".join(command), measured([folder if word == "SET" else word.replace("=SET", "=" + folder) for word in command]))


main()
