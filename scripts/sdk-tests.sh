#!/usr/bin/env bash
# Runs the native tests of the SDKs and examples that are not in Rust, each with its language's usual runner.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}

run() { # Says what was run only where it fails: a thousand names of tests that pass are no help.
  local folder=$1 log
  shift
  log=$(mktemp)
  if ! (cd "$folder" && "$@") >"$log" 2>&1; then
    cat "$log" >&2
    echo "sdk-tests: $* in $folder failed" >&2
    exit 1
  fi
  echo "sdk-tests: $folder: $(grep -E 'passed|^ok|# pass' "$log" | tail -n 1)"
  rm -f "$log"
}

export PYTHONDONTWRITEBYTECODE=1
for folder in plugin-sdk/python example-plugins/python/*/; do
  run "$folder" "$tools/python/bin/python" -m pytest -q -p no:cacheprovider
done

run . scripts/toolchain/js-test.sh

PATH=$PATH:$tools/go/bin
for folder in plugin-sdk/go example-plugins/go/*/; do
  run "$folder" env GOFLAGS= GOWORK=off go test ./...
done

run plugin-sdk/c/tests make
for folder in example-plugins/c/*/; do
  run "$folder" make test
done
