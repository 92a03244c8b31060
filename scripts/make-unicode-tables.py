#!/usr/bin/env python3
"""Writes data/tokenizer/unicode_ranges.cpp: the classes of characters that split patterns tell apart, as one sorted table of ranges.

A maintainer's script (needs the package regex); its output is committed, so neither building nor running kappa needs it.

    scripts/make-unicode-tables.py > data/tokenizer/unicode_ranges.cpp
"""
import sys
from importlib.metadata import version

import regex

CLASSES = {"upper": r"[\p{Lu}\p{Lt}]", "lower": r"\p{Ll}", "caseless": r"[\p{Lm}\p{Lo}]", "mark": r"\p{M}", "number": r"\p{N}", "space": r"\s"}
COLUMNS = 6


def ranges_of(pattern):
    is_in, first = regex.compile(pattern).fullmatch, None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and is_in(chr(code)) is not None
        if inside and first is None:
            first = code
        if not inside and first is not None:
            yield first, code - 1
            first = None


def main():
    rows = sorted((first, last, name) for name, pattern in CLASSES.items() for first, last in ranges_of(pattern))
    for (_, last, _), (first, _, _) in zip(rows, rows[1:]):
        if first <= last:
            sys.exit(f"U+{first:04X} is in two classes")
    entries = [f"{{0x{first:04X}, 0x{last:04X}, {name}}}," for first, last, name in rows]
    lines = [" ".join(entries[i : i + COLUMNS]) for i in range(0, len(entries), COLUMNS)]
    print(f"""// Written by scripts/make-unicode-tables.py from Python regex {version("regex")}. Do not edit.

#include "data/tokenizer/unicode_classes.h"

namespace kappa {{

using namespace char_class;

// clang-format off
static constexpr ClassRange ranges[] = {{""")
    print("\n".join("  " + line for line in lines))
    print("""};
// clang-format on

std::span<const ClassRange> class_ranges() { return ranges; }

}  // namespace kappa""")


main()
