#!/usr/bin/env python3
"""Writes tests/data/fixtures/tokenizer: tokenizers as other programs write them, and ids that those programs give.

A maintainer's script (needs tiktoken, tokenizers); its output is committed, so the tests need neither.

    scripts/make-tokenizer-fixtures.py PAPER_TOKENIZER_FOLDER

The folder holds kappa32k.tiktoken, kappa32k.json and vectors.json. Of the paper's tokenizer the fixture keeps the tokens that occur in
the texts of the vectors: no other could be met while they are encoded.
"""
import base64
import json
import os
import pickle
import sys

import tiktoken
import tokenizers

OUT = os.path.join(os.path.dirname(__file__), "..", "tests", "data", "fixtures", "tokenizer")
TEXT = ("The miller's daughter sold flour to the baker, and the baker sold bread to the miller. In 1999 there were 1024 sacks; "
        "\n\n  - sacks of flour\n  - sacks of barley\n Müller und Bäcker: Größe, Straße. 磨坊主卖面粉。 😀😀 don't DON'T aaaaaaaa ") * 3
SAMPLES = [TEXT[:200], "the miller  \n\n sold", "  don't  ", "ÄÖÜ€😀", "aaaaa aaaaaaaaaaa", "<|bos|> is text", "", "\n", "1234567", "baker\r\n\r\n  "]


def learnt(pattern, size):
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, special_tokens=["<s>", "<|endoftext|>"], show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def samples(encode):
    return [{"text": [ord(c) for c in text], "ids": encode(text)} for text in SAMPLES]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(OUT, exist_ok=True)
    folder = sys.argv[1]
    with open(f"{folder}/kappa32k.tiktoken") as file:
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in file}
    with open(f"{folder}/kappa32k.json", encoding="utf-8") as file:
        paper = json.load(file)
    with open(f"{folder}/vectors.json", encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    text = b"\0\0".join(v["text"].encode() for v in vectors)
    kept = sorted((rank, list(token)) for token, rank in ranks.items() if len(token) == 1 or token in text)
    rows = [{"text": [ord(c) for c in v["text"]], "ids": v["ids"], "pieces": [len(p.encode()) for p in v["pieces"]]} for v in vectors]
    with open(f"{OUT}/paper.json", "w") as file:
        dump = lambda value: json.dumps(value, separators=(",", ":"))
        lines = ",\n".join(dump(row) for row in rows)
        file.write(f'{{"special_tokens":{dump(paper["special_tokens"])},\n"tokens":{dump(kept)},\n"vectors":[\n{lines}]}}\n')

    expected = {}
    hugging_face = learnt(paper["pattern"], 330)
    hugging_face.save(f"{OUT}/split.json", pretty=False)
    expected["split.json"] = samples(lambda t: hugging_face.encode(t, add_special_tokens=False).ids)
    gpt2 = learnt(paper["pattern"], 330)
    gpt2.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    gpt2.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    gpt2.save(f"{OUT}/byte_level.json", pretty=False)
    expected["byte_level.json"] = samples(lambda t: gpt2.encode(t, add_special_tokens=False).ids)

    # tiktoken: the same tokens with bytes first, written by every protocol that can.
    letters = {c: bytes([b]) for b, c in zip([*range(33, 127), *range(161, 173), *range(174, 256)], [*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 256))])}
    rest = [b for b in range(256) if bytes([b]) not in letters.values()]
    letters |= {chr(256 + i): bytes([b]) for i, b in enumerate(rest)}
    vocabulary = hugging_face.get_vocab()
    merged = sorted((i, b"".join(letters[c] for c in t)) for t, i in vocabulary.items() if not t.startswith("<") and len(t) > 1)
    small = {bytes([b]): b for b in range(256)} | {token: 256 + n for n, (_, token) in enumerate(merged)}
    encoding = tiktoken.Encoding("small", pat_str=paper["pattern"], mergeable_ranks=small, special_tokens={"<|endoftext|>": len(small) + 3, "<|bos|>": len(small)})
    for protocol in (2, 3, 4, 5):
        with open(f"{OUT}/protocol{protocol}.pkl", "wb") as file:
            pickle.dump(encoding, file, protocol=protocol)
    expected["pickle"] = samples(encoding.encode_ordinary)
    with open(f"{OUT}/expected.json", "w") as file:
        json.dump(expected, file, separators=(",", ":"))
        file.write("\n")


main()
