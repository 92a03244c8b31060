#!/usr/bin/env bash
# From a fresh machine to a model that writes English: installs what is missing, builds, prepares the text, trains for about five minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

third_party/install.sh
cmake --preset release -DKAPPA_TESTS=OFF
cmake --build --preset release -j "$(nproc)"
scripts/quickstart-text.sh
exec build/release/kappa train configs/quickstart.yaml "$@"
