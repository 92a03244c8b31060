#!/usr/bin/env python3
"""What the cache of `kappa generate` is worth: the time of N tokens with it, and of the passes over all tokens before that every
one of them would need without.

A maintainer's script (needs nothing but Python).

    scripts/bench-cache.py build/release/kappa [--tokens 1000] RUN | CONFIG --weights W

Without a cache, token t costs one pass over t tokens. Such passes are timed at ten lengths, as the prompts of so many random ids
(of whose logits only the last row is computed, to the advantage of doing without), in turns with the generation; their mean
times N is the other time.
"""
import random
import re
import statistics
import subprocess
import sys

arguments = sys.argv[1:]
if not arguments:
    sys.exit(__doc__)
tokens = 1000
if "--tokens" in arguments:
    at = arguments.index("--tokens")
    tokens = int(arguments[at + 1])
    del arguments[at : at + 2]
kappa, model = arguments[0], arguments[1:]
draw = random.Random(1)


def seconds(prompt_length, generated):
    """Of the prompt and of the tokens after it."""
    ids = ",".join(str(draw.randrange(256)) for _ in range(prompt_length))
    command = [kappa, "generate", *model, "--prompt-ids", ids, "--temperature", "0", "--stop", "none", "--ids", "--timing"]
    said = subprocess.run([*command, "--max-tokens", str(generated)], capture_output=True, text=True, check=True).stderr
    return [float(s) for s in re.findall(r"in ([0-9.]+) s", said)]


cached, passes = [], []
for i in range(10):
    cached.append(seconds(1, tokens)[1])
    passes.append(min(seconds(int((i + 0.5) * tokens / 10), 1)[0] for _ in range(3)))
with_cache, without = statistics.median(cached), statistics.mean(passes) * tokens
print(f"{tokens} tokens: with the cache {with_cache:.3f} s, {tokens / with_cache:.0f} tokens/s; "
      f"without {without:.3f} s, {tokens / without:.0f} tokens/s; {without / with_cache:.1f} times")
