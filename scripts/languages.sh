#!/usr/bin/env bash
# Builds the plugins of example-plugins/, or of another folder, that are not in Rust, each with `wasmill plugin build`, into a folder as
# NAME-LANGUAGE.wasm. What has not changed since the last time is not built again.
#
#   scripts/languages.sh WASMILL FOLDER [FROM]
set -euo pipefail
cd "$(dirname "$0")/.."
wasmill=${1:?usage: scripts/languages.sh WASMILL FOLDER [FROM]}
folder=${2:?usage: scripts/languages.sh WASMILL FOLDER [FROM]}
from=${3:-example-plugins}
mkdir -p "$folder"

# Everything that a component is made from: its source, the SDK, and how wasmill builds.
sources() {
  git ls-files -z --cached --others --exclude-standard -- "$1" "plugin-sdk/$2" plugin-sdk/wasi-stub wit host/src/cli/plugin/build \
    host/src/plugin/componentize.rs host/src/plugin/wasi_stub Cargo.lock scripts/toolchain |
    while IFS= read -r -d '' file; do [[ -f $file ]] && sha256sum "$file"; done | sha256sum
}

built=()
for manifest in "$from"/*/*/plugin.toml; do
  project=${manifest%/plugin.toml}
  language=$(basename "$(dirname "$project")")
  name=$(basename "$project")-$language
  stamp=$(sources "$project" "$language")
  if [[ ! -f $folder/$name.wasm || "$(cat "$folder/$name.stamp" 2>/dev/null)" != "$stamp" ]]; then
    "$wasmill" plugin build "$project" --out "$folder/$name.wasm"
    echo "$stamp" >"$folder/$name.stamp"
  fi
  built+=("$name")
done
echo "plugins: ${built[*]} in $folder"
