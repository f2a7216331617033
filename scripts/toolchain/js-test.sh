#!/usr/bin/env bash
# Runs the native tests of the JavaScript SDK, of its project templates and of the examples, types included.
#
#   scripts/toolchain/js-test.sh
#
# In a copy, with the packages of scripts/toolchain/js.sh beside it: the clone stays as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/toolchain/js.sh

tools=${WASMILL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wasmill-tools}/js
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
ln -s "$tools/node_modules" "$copy/node_modules"
mkdir -p "$copy/plugin-sdk" "$copy/example-plugins"
for folder in plugin-sdk/js example-plugins/js; do
  cp -r "$folder" "$copy/$folder"
  find "$copy/$folder" \( -name node_modules -o -name build \) -prune -exec rm -rf {} +
done

# As `wasmill plugin new` makes a project.
sdk=$copy/plugin-sdk/js
for template in "$sdk"/templates*/*/; do
  project=$copy/projects/$(basename "$(dirname "$template")")-$(basename "$template")
  mkdir -p "$project"
  cp -r "$template/." "$project"
  mkdir "$project/sdk"
  cp -r "$sdk"/{index,testing}{.js,.d.ts} "$sdk"/{lib,testing} "$sdk"/*.mjs "$project/sdk"
done

export PATH=$copy/node_modules/.bin:$PATH
for project in "$sdk" "$copy"/projects/* "$copy"/example-plugins/js/*; do
  [[ -f $project/package.json ]] || continue
  echo "== ${project#"$copy"/}"
  (cd "$project" && npm test --silent 2>&1) || { echo "js-test.sh: the tests of ${project#"$copy"/} fail" >&2; exit 1; }
done
