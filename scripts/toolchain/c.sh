#!/usr/bin/env bash
# Installs what builds C plugins: clang with its C library for WebAssembly, as the Python package of the Zig compiler carries it. The version is
# the one that plugin-sdk/c/requirements.txt pins. It goes to $WASMILL_TOOLS/c, by default a folder of the user's cache; done again, it is quick.
set -euo pipefail
cd "$(dirname "$0")/../.."
requirements=plugin-sdk/c/requirements.txt
tools="${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}/c"
python="$tools/venv/bin/python3"
done="$tools/installed.txt"

installed() { [[ -x "$tools/venv/bin/python-zig" ]] && cmp -s "$requirements" "$done"; }

install_venv() {
  python3 -m venv "$tools/venv" 2>/dev/null && return
  rm -rf "$tools/venv"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    python3 -m venv "$tools/venv"
  else
    echo "python3 with venv is missing; install it with
  sudo apt-get install python3-venv
and run this script again" >&2
    exit 1
  fi
}

installed && exit 0
mkdir -p "$tools"
install_venv
"$python" -m pip install --quiet --disable-pip-version-check -r "$requirements"

# The first compilation builds the C library, which takes a minute: better here than in an author's first build.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include <stdio.h>\nint f(char *to, double it) { return snprintf(to, 9, "%%f", it); }\n' >"$scratch/warm.c"
"$tools/venv/bin/python-zig" cc -target wasm32-wasi -std=gnu11 -O2 -UNDEBUG -s -mexec-model=reactor -o "$scratch/warm.wasm" "$scratch/warm.c"
cp "$requirements" "$done"
