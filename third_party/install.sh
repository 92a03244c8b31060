#!/usr/bin/env bash
# Installs what kappa is built from and tested with, on Debian 12 or Ubuntu 22.04 and later. Run as root (or with sudo); may be run again.
set -euo pipefail

packages=(
  g++ cmake ninja-build git ca-certificates
  libfmt-dev libeigen3-dev libopenblas-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  zlib1g-dev libzstd-dev libsnappy-dev liblz4-dev libbrotli-dev
  catch2
  bible-kjv
)
# g++ must be 12 or later; Ubuntu 22.04 has it beside its own.
if grep -q '^VERSION_ID="22.04"' /etc/os-release 2>/dev/null; then packages+=(g++-12); fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "all ${#packages[@]} packages are installed"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install.sh: ${missing[*]} are missing; run this as root" >&2
    exit 2
  fi
  exec sudo "$0"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
