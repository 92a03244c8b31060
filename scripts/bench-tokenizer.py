#!/usr/bin/env python3
"""Times the tokenizer against its peers, in turns on the same machine: encoding against tiktoken, one thread each, in processor time;
training against rustbpe and Hugging Face's tokenizers, with the same threads, in seconds and peak memory.

A maintainer's script (needs tiktoken, rustbpe, tokenizers).

    scripts/bench-tokenizer.py encode build/release/tests/kappa_tests PAPER_TOKENIZER_FOLDER TEXT…
    scripts/bench-tokenizer.py bytes build/release/tests/kappa_tests PAPER_TOKENIZER_FOLDER TEXT OTHER…    against the first, without a peer
    scripts/bench-tokenizer.py train build/release/kappa THREADS TEXT
    scripts/bench-tokenizer.py make TEXT BYTES SOURCE…      a text to learn from
"""
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

PAIRS = 5
PATTERN = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"


def encode_once(tests, folder, path):
    environment = os.environ | {"KAPPA_BENCH_TOKENIZER": f"{folder}/kappa32k", "KAPPA_BENCH_FILE": path, "KAPPA_BENCH_RUNS": "1"}
    run = subprocess.run([tests, "bench: encoding of a text"], env=environment, capture_output=True, text=True, check=True)
    return next(json.loads(line) for line in run.stdout.splitlines() if line.startswith("{"))


def bench_bytes(tests, folder, paths):
    turns = [[encode_once(tests, folder, path) for path in paths] for _ in range(PAIRS)]
    cost = lambda run: run["seconds_encoded"] / run["bytes"]
    for i, path in enumerate(paths):
        ratios = [cost(turn[i]) / cost(turn[0]) for turn in turns]
        print(f"{os.path.basename(path)}: {1e-6 / statistics.median(cost(turn[i]) for turn in turns):.1f} MB/s; a byte costs "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times one of {os.path.basename(paths[0])}", flush=True)


def bench_encode(tests, folder, paths):
    import tiktoken

    with open(f"{folder}/kappa32k.tiktoken") as file:
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in file}
    encoding = tiktoken.Encoding("paper", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        pairs = []
        for _ in range(PAIRS):
            ours = encode_once(tests, folder, path)
            start = time.thread_time()
            count = len(encoding._core_bpe.encode_ordinary(text))
            pairs.append((ours, time.thread_time() - start))
            assert count == ours["ids"]
        rate = lambda seconds: f"{ours['bytes'] / statistics.median(seconds) / 1e6:.1f}"
        ratios = [theirs / ours["seconds_encoded"] for ours, theirs in pairs]
        print(f"{os.path.basename(path)}: {ours['bytes']} bytes, {ours['ids']} ids; MB/s: {rate([o['seconds_encoded'] for o, _ in pairs])}, "
              f"tiktoken {rate([t for _, t in pairs])}; floor: cut into pieces {rate([o['floor_split'] for o, _ in pairs])}, "
              f"bytes looked at {rate([o['floor_read'] for o, _ in pairs])}; tiktoken's time / ours {statistics.median(ratios):.1f} "
              f"({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


RUSTBPE = """
import rustbpe, sys
def lines():
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        yield from file
tokenizer = rustbpe.Tokenizer()
tokenizer.train_from_iterator(lines(), 32759, pattern=sys.argv[2])
"""
HUGGING_FACE = """
import sys, tokenizers
from tokenizers import Regex, models, pre_tokenizers, trainers
tokenizer = tokenizers.Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(sys.argv[2]), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
tokenizer.train([sys.argv[1]], trainers.BpeTrainer(vocab_size=32759, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
"""


def bench_train(kappa, threads, path):
    size = os.path.getsize(path)
    folder = tempfile.TemporaryDirectory()
    out = f"{folder.name}/trained"
    commands = {"kappa": [kappa, "tokenizer", "train", "--vocab-size", "32768", "--threads", threads, "--out", out, path],
                "rustbpe": [sys.executable, "-c", RUSTBPE, path, PATTERN], "tokenizers": [sys.executable, "-c", HUGGING_FACE, path, PATTERN]}
    for name, command in commands.items():
        start = time.monotonic()
        process = subprocess.Popen(command, env=os.environ | {"RAYON_NUM_THREADS": threads}, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        print(f"{name}: {size / 1e6:.0f} MB in {seconds:.1f} s wall, {usage.ru_utime + usage.ru_stime:.1f} s of processors, peak {usage.ru_maxrss / 1e3:.0f} MB"
              f"{'' if status == 0 else ', FAILED'}", flush=True)


def make_text(out, size, sources):
    """Lines of the sources in random order, again and again; every fourth gets a word and a number that nothing else has, because
    different pieces, not text, are what real text has ever more of."""
    generator = random.Random(5)
    lines = [line for path in sources for line in open(path, encoding="utf-8", errors="replace").read().split("\n")]
    written = 0
    with open(out, "w", encoding="utf-8") as file:
        while written < size:
            batch = generator.choices(lines, k=20000)
            for i in range(0, len(batch), 4):
                word = "".join(generator.choices("etaoinshrdlucmfwypvbgk", k=generator.randrange(3, 11)))
                batch[i] += f" {word} {generator.randrange(10 ** generator.randrange(1, 7))}"
            text = "\n".join(batch) + "\n"
            file.write(text)
            written += len(text.encode())


if len(sys.argv) > 4 and sys.argv[1] == "encode":
    bench_encode(sys.argv[2], sys.argv[3], sys.argv[4:])
elif len(sys.argv) > 4 and sys.argv[1] == "bytes":
    bench_bytes(sys.argv[2], sys.argv[3], sys.argv[4:])
elif len(sys.argv) == 5 and sys.argv[1] == "train":
    bench_train(*sys.argv[2:])
elif len(sys.argv) > 4 and sys.argv[1] == "make":
    make_text(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
else:
    sys.exit(__doc__)
