#!/usr/bin/env bash
# Writes the King James text, one chapter a document, as JSON Lines: quickstart-text.sh [FILE]. The text comes with Debian's package
# bible-kjv; a line of it is "Ge1:1 In the beginning…", and what stands before the colon is the chapter.
set -euo pipefail
out=${1:-runs/kjv.jsonl}

if ! command -v bible >/dev/null; then
  echo "quickstart-text.sh: the program 'bible' is missing; third_party/install.sh installs it (package bible-kjv)" >&2
  exit 2
fi
mkdir -p "$(dirname "$out")"
bible -f gen1:1-rev22:21 | awk '
  { chapter = $1; sub(/:.*/, "", chapter)
    gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, "\\t")
    if (chapter != last) { if (NR > 1) print "\"}"; printf "{\"text\": \""; last = chapter } else printf "\\n"
    printf "%s", $0 }
  END { print "\"}" }' > "$out.tmp"
mv "$out.tmp" "$out"
echo "$out: $(wc -l < "$out") chapters, $(wc -c < "$out") bytes"
