#!/usr/bin/env python3
"""Writes data/unicode_classes.cpp: the letters, numbers and white space of Unicode as one sorted table of ranges.

A maintainer's script; its output is committed, so neither building nor running kappa needs it.

    scripts/make-unicode-tables.py RANGES.json > data/unicode_classes.cpp

RANGES.json: {"source": what the ranges were taken from, "L": [[first, last], ...], "N": [...], "White_Space": [...]}, inclusive.
"""
import json
import sys

CLASSES = {"L": "letter", "N": "number", "White_Space": "space"}
COLUMNS = 4


def table(ranges_by_class):
    rows = sorted((first, last, CLASSES[name]) for name in CLASSES for first, last in ranges_by_class[name])
    for (_, last, _), (first, _, _) in zip(rows, rows[1:]):
        if first <= last:
            sys.exit(f"U+{first:04X} is in two ranges")
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    rows = table(data)
    entries = [f"{{0x{first:04X}, 0x{last:04X}, {name}}}," for first, last, name in rows]
    lines = [" ".join(entries[i : i + COLUMNS]) for i in range(0, len(entries), COLUMNS)]
    print(f"""// Written by scripts/make-unicode-tables.py from {data["source"]}. Do not edit.

#include "data/unicode_classes.h"

namespace kappa {{

using enum CharClass;

// clang-format off
static constexpr ClassRange ranges[] = {{""")
    print("\n".join("  " + line for line in lines))
    print("""};
// clang-format on

std::span<const ClassRange> class_ranges() { return ranges; }

}  // namespace kappa""")


main()
