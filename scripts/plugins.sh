#!/usr/bin/env bash
# Builds the Rust crates of example-plugins/ and tests/plugins/ for WebAssembly and puts them into a folder as NAME.wasm.
#
#   scripts/plugins.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: scripts/plugins.sh FOLDER}
target=wasm32-unknown-unknown
built=${CARGO_TARGET_DIR:-target}/$target/release

packages=()
for manifest in example-plugins/*/Cargo.toml tests/plugins/rust/*/Cargo.toml; do
  packages+=("$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$manifest" | head -n 1)")
done

# Names stay, for traces; line tables would be nine tenths of the file.
export CARGO_PROFILE_RELEASE_STRIP=debuginfo
scripts/wasm-target.sh build --locked --release "${packages[@]/#/--package=}"

mkdir -p "$folder"
for package in "${packages[@]}"; do
  file=$built/${package//-/_}.wasm
  # An untouched file keeps its time, so that nothing is compiled again because of it.
  cmp -s "$file" "$folder/${package//_/-}.wasm" || cp "$file" "$folder/${package//_/-}.wasm"
done
echo "plugins: ${packages[*]} in $folder"
